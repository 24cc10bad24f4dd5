//! What is planned, and why.

use super::{DENIED, LOCK, USUAL, WITH_MS, World, function, line, lines, nodejs, plan, text};

#[test]
fn a_single_file_is_checked() {
    let plan = text(&USUAL, "//- hello.js\n");
    let compiled = plan.find("compile\n").expect("a section");
    assert_eq!(plan[..compiled], *"\
because
  hello.js holds the handler hello.handler
  there is no dependency file
check
  check-helper: put nodejs/check.cjs at <scratch>/check.cjs
    our program behind `check`
  check: in <scratch>: node --no-warnings --experimental-vm-modules <scratch>/check.cjs <source> hello.js handler
    syntax of every file, and whether the handler is there
");
    assert!(plan.ends_with(
        "\
launch
  node22|node|nodejs <server>/kubeless.cjs --root <source> --file hello.js --function handler
    with version 22
"
    ));
    assert_eq!(
        line(&plan, "server kubeless.cjs"),
        "server kubeless.cjs: put nodejs/server/kubeless.cjs at <server>/kubeless.cjs"
    );
}
