pub fn handler(_: kubeless::Event, _: kubeless::Context) {}
