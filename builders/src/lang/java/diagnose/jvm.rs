//! What a Java virtual machine says when it cannot go on, whatever runs in it.

use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::{Diagnostic, pattern};
use crate::network::platform;

/// What kept the virtual machine from its work: memory, or its own options.
pub(super) fn trouble(said: &str) -> Option<Diagnostic> {
    // Error: Could not reserve enough space for 943718400KB object heap
    // OpenJDK 64-Bit Server VM warning: INFO: os::commit_memory(…) failed; error='Not enough space' (errno=12)
    static NO_HEAP: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"Could not reserve enough space|Could not allocate metaspace|There is insufficient memory for the Java Runtime|os::commit_memory\(.*failed",
        )
    });
    // The system is out of resources.
    // java.lang.OutOfMemoryError: Java heap space
    // [ERROR] Java heap space -> [Help 1]
    static MEMORY: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"The system is out of resources\.|java\.lang\.OutOfMemoryError|Too small (?:maximum|initial) heap|Java heap space|GC overhead limit exceeded",
        )
    });
    // java.lang.StackOverflowError
    static STACK: LazyLock<Regex> = LazyLock::new(|| pattern(r"java\.lang\.StackOverflowError"));
    // Unrecognized VM option 'NoSuchOption=1'
    static OPTION: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"Unrecognized VM option '([^']*)'|Unrecognized option: (\S+)|Invalid maximum heap size: (\S+)",
        )
    });
    let raise = "raise the memory limit of the build container, or lower what MAVEN_OPTS or JAVA_TOOL_OPTIONS ask for";
    if NO_HEAP.is_match(said) {
        return Some(platform(
            "the Java virtual machine could not reserve the memory that it was to have",
            raise,
        ));
    }
    // javac calls that "out of resources", too.
    if STACK.is_match(said) {
        let hint = "split the longest expression of the function into several";
        return Some(
            Diagnostic::new("javac ran out of stack: an expression is nested too deeply").hint(hint),
        );
    }
    if MEMORY.is_match(said) {
        return Some(platform("the Java virtual machine ran out of memory", raise));
    }
    let option = OPTION.captures(said)?;
    let name = option.iter().skip(1).flatten().next().map_or("", |name| name.as_str());
    let hint = "correct MAVEN_OPTS, JDK_JAVAC_OPTIONS or JAVA_TOOL_OPTIONS";
    Some(platform(format!("the Java virtual machine does not know the option {name}"), hint))
}
