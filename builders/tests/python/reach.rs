//! On which files a function's dependencies depend: an edit of another one resolves nothing anew.

use builders::plan::ResolvesFrom;

use super::{LOCK, PROJECT, USUAL, WITH_UV, World, plan};

/// The files, in one line; `*` for all of them.
#[track_caller]
fn files(world: &World, rest: &str) -> String {
    let plan = plan(world, &format!("//- hello.py\n//- lib/x.py\n{rest}")).expect("a plan");
    match plan.resolves_from {
        ResolvesFrom::All => "*".to_owned(),
        ResolvesFrom::Files(files) => files.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn what_the_installer_reads_counts_and_nothing_else() {
    for (rest, counts) in [
        ("", ""),
        ("//- requirements.txt\n\n", ""),
        ("//- requirements.txt\nsix\n", "requirements.txt"),
        (
            "//- requirements.txt\nsix\n-r more/a.txt\n//- more/a.txt\nidna\n-c ../limits.txt\n\
             //- limits.txt\nidna<4\n//- more/unread.txt\n",
            "limits.txt more/a.txt requirements.txt",
        ),
        (
            "//- requirements.txt\nsix\n//- uv.toml\n//- pyproject.toml\n",
            "pyproject.toml requirements.txt uv.toml",
        ),
        (
            "//- requirements.txt\n--index-url https://registry.example/simple\n-r https://registry.example/x.txt\n\
             a @ https://registry.example/a.whl\nb @ git+https://git.example/b\nc==1 --hash=sha256:00\n",
            "requirements.txt",
        ),
    ] {
        assert_eq!(files(&USUAL, rest), counts, "{rest}");
    }
    assert_eq!(files(&WITH_UV, PROJECT), "pyproject.toml");
    assert_eq!(files(&WITH_UV, &format!("{PROJECT}{LOCK}")), "pyproject.toml uv.lock");
}

#[test]
fn what_may_name_any_file_depends_on_all() {
    for line in [
        ".",
        "./lib",
        "lib/x-1.0-py3-none-any.whl",
        "/mnt/x-1.0-py3-none-any.whl",
        "x @ file:///mnt/x.whl",
        "x @ git+file:///mnt/x",
        "${WHEELS}/x.whl",
        "-f wheels",
        "--find-links=file:///mnt/wheels",
        "-fwheels",
        "--find ./wheels",
        "--index-url ./simple",
        "--extra-index-url file:///mnt/simple",
        "-r ${MORE}",
        "-c file:///mnt/limits.txt",
        "six --config-settings=x=y",
    ] {
        let rest =
            format!("//- lib/setup.py\n//- lib/x-1.0-py3-none-any.whl\n//- requirements.txt\nsix\n{line}\n");
        assert_eq!(files(&USUAL, &rest), "*", "{line}");
    }
    for source in
        ["directory = \"lib\"", "path = \"x.whl\"", "registry = \"../simple\"", "git = \"file:///mnt/x\""]
    {
        let lock = LOCK.replace("registry = \"https://registry.example/simple\"", source);
        assert_eq!(files(&WITH_UV, &format!("{PROJECT}{lock}")), "*", "{source}");
    }
    for (settings, counts) in [
        ("find-links = [\"wheels\"]", "*"),
        ("sources = { six = { path = \"lib\" } }", "*"),
        ("sources = { six = { workspace = true } }", "*"),
        ("index = [{ name = \"a\", url = \"./simple\" }]", "*"),
        ("pip = { find-links = [\"./wheels\"] }", "*"),
        ("constraint-dependencies = [\"six @ ./lib\"]", "*"),
        ("index = [{ name = \"a\", url = \"https://registry.example/simple\" }]", "pyproject.toml uv.toml"),
        ("constraint-dependencies = [\"six<2\"]", "pyproject.toml uv.toml"),
    ] {
        assert_eq!(files(&WITH_UV, &format!("{PROJECT}//- uv.toml\n{settings}\n")), counts, "{settings}");
    }
    assert_eq!(
        files(&USUAL, "//- pyproject.toml\n[project]\ndependencies = ['x @ file:///mnt/x.whl']\n"),
        "*"
    );
}

#[test]
fn the_operators_configuration_counts_where_it_begins_in_the_function() {
    let requirements = "//- requirements.txt\nsix\n";
    for (env, counts) in [
        (("PIP_FIND_LINKS", "/mnt/wheels"), "requirements.txt"),
        (("PIP_FIND_LINKS", "/mnt/wheels wheels"), "*"),
        (("PIP_CONSTRAINT", "limits.txt"), "*"),
        (("PIP_CONFIG_FILE", "pip.conf"), "*"),
        (("UV_FIND_LINKS", "/mnt/a,https://registry.example/b"), "requirements.txt"),
        (("UV_INDEX", "a=https://registry.example/simple"), "requirements.txt"),
        (("UV_OVERRIDE", "./override.txt"), "*"),
    ] {
        let world = World { env: Box::leak(Box::new([env])), ..WITH_UV };
        assert_eq!(files(&world, requirements), counts, "{env:?}");
    }
    for (file, counts) in [
        (("/etc/pip.conf", "[global]\nfind-links = /mnt/wheels\n"), "requirements.txt"),
        (("/etc/pip.conf", "[install]\nfind-links =\n  https://registry.example/x\n  ./wheels\n"), "*"),
        (("~/.config/uv/uv.toml", "find-links = [\"/mnt/wheels\"]\n"), "requirements.txt"),
        (("~/.config/uv/uv.toml", "find-links = [\"wheels\"]\n"), "*"),
    ] {
        let world = World { files: Box::leak(Box::new([file])), ..WITH_UV };
        assert_eq!(files(&world, requirements), counts, "{file:?}");
    }
}
