//! What is planned.

use builders::function::RelPath;
use builders::plan::ResolvesFrom;
use builders::toolchain::BuildScripts;

use super::support::lines;
use super::{plan, planned, with_pom};

/// The class that is launched.
#[track_caller]
fn class(handler: &str, fixture: &str) -> String {
    let text = plan(handler, fixture).to_string();
    let launch = lines(&text, "java ")[0];
    launch
        .split(" injector.server.Main ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .expect("a class")
        .to_owned()
}

#[test]
fn the_class_has_the_package_that_stands_in_its_file() {
    for (package, expected) in [
        ("", "Hello"),
        ("package a.b;", "a.b.Hello"),
        ("\u{feff}// package no;\n/* package\n no; */ package a /* why */;", "Hello"),
        ("/** Says\n * package no;\n */\r\npackage\ta . b_1.$c ;\r\n", "a.b_1.$c.Hello"),
        ("// one line, and nothing else: package no;", "Hello"),
    ] {
        assert_eq!(
            class("Hello.run", &format!("//- Hello.java\n{package}\nclass Hello {{}}\n")),
            expected,
            "{package}"
        );
    }
}

#[test]
fn a_handler_is_found_by_path_by_class_and_by_name_alone() {
    const FILES: &str = "//- src/main/java/a/Hello.java\npackage a;\n//- src/main/java/b/Other.java\npackage b;\n\
                         //- src/test/java/a/HelloTest.java\npackage a;\n";
    for handler in ["a.Hello.run", "src.main.java.a.Hello.run", "Hello.run", "a/Hello.run"] {
        assert_eq!(class(handler, FILES), "a.Hello", "{handler}");
    }
    assert_eq!(class("x.y.Hello.run", "//- Hello.java\npackage x.y;\n"), "x.y.Hello");
    let text = plan("Hello.run", FILES).to_string();
    let build = lines(&text, "build: ")[0];
    assert!(build.ends_with(" src/main/java/a/Hello.java src/main/java/b/Other.java"), "{build}");
}

#[test]
fn javac_compiles_what_maven_would_compile_in_the_same_way() {
    for (inner, flags) in [
        ("", ""),
        ("<properties><maven.compiler.release>11</maven.compiler.release></properties>", " --release 11"),
        (
            "<properties><java.version>11</java.version><maven.compiler.source>${java.version}</maven.compiler.source>\
             <maven.compiler.target>1.8</maven.compiler.target>\
             <project.build.sourceEncoding>ISO-8859-1</project.build.sourceEncoding></properties>",
            " -encoding ISO-8859-1 -source 11 -target 1.8",
        ),
        (
            "<build><finalName>x</finalName><plugins><plugin><artifactId>maven-shade-plugin</artifactId></plugin>\
             <plugin><artifactId>maven-compiler-plugin</artifactId><version>3.13.0</version><configuration>\
             <release>16</release><parameters>true</parameters></configuration></plugin></plugins></build>",
            " --release 16 -parameters",
        ),
        (
            "<parent><groupId>io.kubeless</groupId><artifactId>kubeless</artifactId><version>1.0-SNAPSHOT</version></parent>",
            "",
        ),
    ] {
        let text = plan("Hello.run", &with_pom(inner)).to_string();
        let build = lines(&text, "build: ")[0];
        assert!(build.contains(&format!("-Xshare:auto{flags} ")), "{inner}: {build}");
        assert!(build.contains(" -cp <server>:<kept>/compile.jar Hello.java"), "{build}");
    }
}

#[test]
fn maven_compiles_what_only_it_can() {
    for (inner, why) in [
        (
            "<parent><groupId>a</groupId><artifactId>p</artifactId><version>1</version></parent>",
            "has a parent",
        ),
        ("<packaging>war</packaging>", "not that of a jar"),
        ("<profiles><profile><build/></profile></profiles>", "a profile"),
        ("<build><sourceDirectory>java</sourceDirectory></build>", "<sourceDirectory>"),
        (
            "<build><plugins><plugin><artifactId>protobuf-maven-plugin</artifactId></plugin></plugins></build>",
            "protobuf",
        ),
        (
            "<build><plugins><plugin><artifactId>maven-compiler-plugin</artifactId><configuration>\
             <annotationProcessorPaths/></configuration></plugin></plugins></build>",
            "configures maven-compiler-plugin",
        ),
        (
            "<properties><maven.compiler.release>${a}${b}</maven.compiler.release></properties>",
            "refer to others",
        ),
    ] {
        let plan = plan("Hello.run", &with_pom(inner));
        let text = plan.to_string();
        assert!(text.contains("Maven compiles: ") && text.contains(why), "{inner}: {text}");
        assert!(text.contains(" -o ") && lines(&text, "build: ")[0].ends_with(" process-classes"), "{text}");
    }
}

#[test]
fn an_edit_of_a_source_resolves_nothing_again() {
    let fixture = with_pom("") + "//- .mvn/maven.config\n-T1\n//- words.txt\n";
    let ResolvesFrom::Files(files) = plan("Hello.run", &fixture).resolves_from else { panic!("all files") };
    let files: Vec<_> = files.iter().map(RelPath::as_str).collect();
    assert_eq!(files, [".mvn/maven.config", "pom.xml"]);
    let before = plan("Hello.run", &fixture).resolve;
    let after = plan("Hello.walk", &fixture.replace("public class", "class")).resolve;
    assert_eq!(before, after);
}

#[test]
fn what_stands_beside_the_sources_is_on_the_class_path() {
    for (files, expected) in [
        ("", "<server>:<out>/classes injector"),
        ("//- words.txt\n", "<server>:<out>/classes:<source> injector"),
        ("//- src/main/resources/words.txt\n", "<server>:<out>/classes:<source>/src/main/resources injector"),
    ] {
        let text = plan("Hello.run", &format!("//- Hello.java\n{files}")).to_string();
        assert!(lines(&text, "java ")[0].contains(expected), "{files}: {text}");
    }
    let text = plan("Hello.run", "//- Hello.java\n//- module-info.java\nmodule hello {}\n").to_string();
    assert!(
        text.contains("module-info.java is left out") && lines(&text, "build: ")[0].ends_with(" Hello.java"),
        "{text}"
    );
}

#[test]
fn no_code_of_dependencies_runs_where_none_may() {
    let text = planned("Hello.run", &with_pom(""), BuildScripts::Deny).expect("a plan").to_string();
    assert!(lines(&text, "build: ")[0].contains(" -proc:none "), "{text}");
    let text = plan("Hello.run", &with_pom("")).to_string();
    assert!(!lines(&text, "build: ")[0].contains("-proc:none"), "{text}");
}

#[test]
fn what_a_function_says_to_maven_is_no_code_while_there_are_credentials() {
    let own = "//- .mvn/maven.config\n-T1\n-Drevision=1\n-s\nx.xml\n-Pprod\n//- .mvn/jvm.config\n-javaagent:x.jar\n";
    let text = plan("Hello.run", &(with_pom("<packaging>war</packaging>") + own)).to_string();
    let fetch = lines(&text, "fetch: ")[0];
    assert!(fetch.contains(": MAVEN_BASEDIR=<scratch>/tmp MAVEN_OPTS="), "{fetch}");
    assert!(fetch.contains(" -f pom.xml -Drevision=1 -Pprod -Dmaven.repo.local="), "{fetch}");
    assert!(lines(&text, "build: ")[0].contains("MAVEN_BASEDIR=<scratch>/project "), "{text}");
}

#[test]
fn a_source_that_is_named_as_an_option_is_a_file() {
    let text = plan("Hello.run", "//- Hello.java\n//- @all.java\n//- -J-version.java\n").to_string();
    assert!(lines(&text, "build: ")[0].ends_with(" ./-J-version.java ./@all.java Hello.java"), "{text}");
}
