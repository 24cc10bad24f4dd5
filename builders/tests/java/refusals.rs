//! What is refused before anything runs, and the words for it.

use builders::toolchain::BuildScripts;

use super::support::{advises, refusal};
use super::{error, planned, with_pom};

#[test]
fn a_pom_that_is_none_is_refused_at_its_line() {
    for (pom, expected) in [
        (
            "<project>\n  <a>\n</project>",
            "manifest: pom.xml:3:1: the file is not well-formed XML: expected 'a' tag, not 'project' | -",
        ),
        ("{}", "manifest: pom.xml:1:1: the file is not well-formed XML: "),
        ("<projekt/>", "manifest: pom.xml:1: the root is <projekt>, not <project> | "),
    ] {
        let found = error("Hello.run", &format!("//- Hello.java\n//- pom.xml\n{pom}\n"));
        assert!(found.starts_with(expected), "{found}");
    }
    assert!(error("Hello.run", "//- Hello.java\n//- pom.xml\n(binary)\n").contains("not UTF-8"));
    assert!(error("Hello.run", "//- Hello.java\n//- POM.xml\n").ends_with("| rename it to pom.xml"));
    let found = error("Hello.run", "//- Hello.java\n//- build.gradle\n");
    assert_eq!(
        found,
        "manifest: build.gradle: the tool that reads this file is not run here | name the dependencies in pom.xml instead"
    );
}

#[test]
fn a_pom_with_modules_is_refused_at_their_line() {
    let found =
        error("Hello.run", &with_pom("<packaging>pom</packaging>\n<modules><module>a</module></modules>"));
    assert!(
        found.starts_with("manifest: pom.xml:5:1: the POM has modules, and a function is one | deploy"),
        "{found}"
    );
}

#[test]
fn a_newer_java_is_refused_where_it_is_asked_for() {
    for (inner, line) in [
        ("<properties>\n<maven.compiler.release>21</maven.compiler.release></properties>", "pom.xml:5:1"),
        (
            "<build><plugins><plugin><artifactId>maven-compiler-plugin</artifactId><configuration>\n\
             <source>21</source></configuration></plugin></plugins></build>",
            "pom.xml:5:1",
        ),
    ] {
        let found = error("Hello.run", &with_pom(inner));
        let expected = "the function is for Java 21, this image has 17.0.15 | choose an image with JDK 21, or lower the version";
        assert_eq!(found, format!("version: {line}: {expected}"));
    }
}

#[test]
fn a_handler_without_a_file_says_what_there_is() {
    let found = error("Helo.run", "//- Hello.java\n//- a/Hello.java\n");
    assert!(found.contains("Helo.java") && found.contains("a/Hello.java"), "{found}");
    let found = error("", "//- Hello.java\npackage a;\n");
    assert!(found.contains("a.Hello.<method>"), "{found}");
    let found = error("Hello.run", "//- a/Hello.java\n//- b/Hello.java\n");
    assert!(found.starts_with("NoModule"), "two are none: {found}");
}

#[test]
fn code_that_may_not_run_is_named() {
    let deny = |fixture: &str| refusal(planned("Hello.run", fixture, BuildScripts::Deny));
    let plugin =
        "<build>\n<plugins>\n<plugin><artifactId>exec-maven-plugin</artifactId></plugin></plugins></build>";
    let found = deny(&with_pom(plugin));
    assert!(
        found.starts_with("dependencies: pom.xml:6: the plugin exec-maven-plugin would run, and code"),
        "{found}"
    );
    let found = deny(&with_pom("<packaging>war</packaging>"));
    assert!(found.contains("Maven's plugins would compile: the POM is not that of a jar"), "{found}");
}

#[test]
fn an_extension_is_refused_since_maven_would_load_it_with_credentials() {
    let plugin = "<build>\n<plugins><plugin><artifactId>x</artifactId>\n<extensions>true</extensions></plugin></plugins></build>";
    let extension =
        "<build>\n<extensions>\n<extension><artifactId>x</artifactId></extension></extensions></build>";
    for (fixture, place) in [
        (with_pom("") + "//- .mvn/extensions.xml\n<extensions/>\n", ".mvn/extensions.xml:"),
        (with_pom(plugin), "pom.xml:6:"),
        (with_pom(extension), "pom.xml:6:"),
    ] {
        let found = error("Hello.run", &fixture);
        assert!(
            found.starts_with(&format!("dependencies: {place} Maven would load this extension")),
            "{found}"
        );
    }
}

#[test]
fn a_handler_is_looked_for_elsewhere_and_under_names_that_are_near() {
    for (fixture, wrong, right) in [
        ("//- Hello.java\npackage io.kubeless;\n", "hello.run", "io.kubeless.Hello.run"),
        ("//- a/Hello.java\npackage a;\n//- b/Hello.java\npackage b;\n", "Hello.run", "a.Hello.run"),
        ("//- src/main/java/a/Hello.java\npackage a;\n", "b.Helo.run", "a.Hello.run"),
    ] {
        advises(|handler| planned(handler, fixture, BuildScripts::Allow), wrong, right);
    }
}
