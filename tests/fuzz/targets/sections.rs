//! A text that holds several: `//- name` begins each, so that a person can read a seed and mutations keep its form.

/// The text before the first section, and the sections by name.
pub(super) fn sections(text: &str) -> (&str, Vec<(&str, &str)>) {
    let mut parts = text.split("//- ");
    let head = parts.next().unwrap_or_default();
    (head, parts.map(|part| part.split_once('\n').unwrap_or((part, ""))).collect())
}
