//! Reads `pom.xml`: where it is malformed, for which Java the function is, and whether javac alone builds what Maven would.
//!
//! Source: <https://maven.apache.org/ref/3.9.11/maven-model/maven.html>.

use roxmltree::{Document, Error, Node};

use crate::diagnostic::Diagnostic;
use crate::entry::text;
use crate::error::PlanError;
use crate::function::{Function, RelPath};
use crate::toolchain::{Tool, Version};

/// The file that lists a function's dependencies.
pub(super) const POM: &str = "pom.xml";

/// What `pom.xml` says.
#[derive(Debug)]
pub(super) struct Pom<'a> {
    /// The file.
    pub(super) path: &'a RelPath,
    /// What stands in it; `None` where only Maven can read it.
    document: Option<Document<'a>>,
}

/// Who compiles a function.
#[derive(Debug)]
pub(super) enum Compiler {
    /// javac, with what the POM asks of it.
    Javac {
        /// Flags.
        flags: Vec<String>,
    },
    /// Maven.
    Maven {
        /// Because.
        why: String,
    },
}

impl Default for Compiler {
    fn default() -> Self {
        Compiler::Javac { flags: Vec::new() }
    }
}

/// Plugins of Maven that work after, or beside, what javac does.
const BESIDE: [&str; 12] = [
    "maven-assembly-plugin",
    "maven-clean-plugin",
    "maven-deploy-plugin",
    "maven-failsafe-plugin",
    "maven-gpg-plugin",
    "maven-install-plugin",
    "maven-jar-plugin",
    "maven-javadoc-plugin",
    "maven-shade-plugin",
    "maven-site-plugin",
    "maven-source-plugin",
    "maven-surefire-plugin",
];

/// What Maven loads before it reads the POM.
const EXTENSIONS: &str = ".mvn/extensions.xml";
/// The plugin whose configuration javac can be given.
const COMPILER: &str = "maven-compiler-plugin";

impl<'a> Pom<'a> {
    /// Reads the POM of a function; `None` where there is none, or an empty one.
    ///
    /// # Errors
    /// When it is malformed.
    pub(super) fn of(function: &'a Function) -> Result<Option<Self>, PlanError> {
        let named = function.deps_file.as_ref().filter(|path| path.extension() == Some("xml"));
        let Some(path) = named.or_else(|| function.top(POM)) else { return Ok(None) };
        let text = text(function, path)?.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Ok(None);
        }
        let wrong = |message: String| Diagnostic::new(message);
        let document = match Document::parse(text) {
            Ok(document) => Some(document),
            // Maven knows HTML's entities, and replaces those that a document type defines.
            Err(Error::DtdDetected | Error::UnknownEntityReference(..)) => None,
            Err(error) => {
                let pos = error.pos();
                let message = error.to_string();
                let message = message.rsplit_once(" at ").map_or(message.as_str(), |(words, _)| words);
                let said = wrong(format!("the file is not well-formed XML: {message}"));
                return Err(PlanError::Manifest(said.at(path.as_str(), Some(pos.row), Some(pos.col))));
            }
        };
        let root = document.as_ref().map(Document::root_element);
        if let Some(root) = root.filter(|root| root.tag_name().name() != "project") {
            let said = wrong(format!("the root is <{}>, not <project>", root.tag_name().name()))
                .at(path.as_str(), Some(1), None)
                .hint("write `<project><modelVersion>4.0.0</modelVersion> … </project>`");
            return Err(PlanError::Manifest(said));
        }
        if let Some(modules) = root.and_then(|root| child(root, "modules")) {
            let at = modules.document().text_pos_at(modules.range().start);
            let said = wrong("the POM has modules, and a function is one".to_owned())
                .at(path.as_str(), Some(at.row), Some(at.col))
                .hint("deploy the module that holds the handler, with its own pom.xml; others may be dependencies from a repository");
            return Err(PlanError::Manifest(said));
        }
        Ok(Some(Pom { path, document }))
    }

    /// Who compiles the function.
    ///
    /// # Errors
    /// When it is for a newer Java than the image has.
    pub(super) fn compiler(&self, javac: &Tool) -> Result<Compiler, PlanError> {
        let maven = |why: &str| Ok(Compiler::Maven { why: why.to_owned() });
        let Some(document) = &self.document else { return maven("only Maven can read the POM") };
        let root = document.root_element();
        let is_ours = |parent: &Node<'_, '_>| {
            value(*parent, "groupId") == Some("io.kubeless")
                && value(*parent, "artifactId") == Some("kubeless")
        };
        if child(root, "parent").is_some_and(|parent| !is_ours(&parent)) {
            return maven("the POM has a parent, which may say how the function is built");
        }
        if value(root, "packaging").is_some_and(|packaging| packaging != "jar") {
            return maven("the POM is not that of a jar");
        }
        if root.descendants().any(|node| node.has_tag_name("profile") && child(node, "build").is_some()) {
            return maven("a profile of the POM says how the function is built");
        }
        let build = child(root, "build");
        for part in build.iter().flat_map(|build| elements(*build)) {
            if !["plugins", "pluginManagement", "finalName"].contains(&part.tag_name().name()) {
                return maven(&format!("the POM's build has <{}>", part.tag_name().name()));
            }
        }
        let mut flags = properties(root);
        let plugins = build.and_then(|build| child(build, "plugins"));
        for plugin in plugins.iter().flat_map(|plugins| elements(*plugins)) {
            let name = value(plugin, "artifactId").unwrap_or_default();
            if name == COMPILER {
                match compiler_flags(plugin) {
                    Some(own) => own.into_iter().for_each(|flag| set(&mut flags, flag)),
                    None => return maven("the POM configures maven-compiler-plugin"),
                }
            } else if !BESIDE.contains(&name) || child(plugin, "extensions").is_some() {
                return maven(&format!("the POM's build has {name}"));
            }
        }
        if child(root, "build").and_then(|build| child(build, "pluginManagement")).is_some_and(|managed| {
            managed.descendants().any(|node| node.text().is_some_and(|text| text.trim() == COMPILER))
        }) {
            return maven("the POM manages maven-compiler-plugin");
        }
        self.admits(root, &flags, javac)?;
        let mut args = Vec::new();
        let newest = flags.iter().any(|(flag, _)| *flag == "--release");
        for (flag, value) in
            flags.into_iter().filter(|(flag, _)| !newest || !["-source", "-target"].contains(flag))
        {
            match value.as_str() {
                value if value.contains("${") => return maven("the POM's properties refer to others"),
                "true" if flag == "-parameters" => args.push(flag.to_owned()),
                _ if flag == "-parameters" => {}
                _ => args.extend([flag.to_owned(), value]),
            }
        }
        Ok(Compiler::Javac { flags: args })
    }

    /// Refuses extensions, which Maven would load while it has credentials. Those of a parent are not seen here.
    ///
    /// # Errors
    /// When there is one.
    pub(super) fn loads_nothing(&self, function: &Function) -> Result<(), PlanError> {
        let is_extension = |node: &Node<'_, '_>| {
            let holder = node.parent_element().map(|above| above.tag_name().name().to_owned());
            match node.tag_name().name() {
                "extension" => holder.as_deref() == Some("extensions"),
                "extensions" => node.text().is_some_and(|text| text.trim() == "true"),
                _ => false,
            }
        };
        let own = self.document.as_ref().and_then(|document| document.descendants().find(is_extension));
        let (file, line) = match own {
            _ if function.files.contains_key(EXTENSIONS) => (EXTENSIONS, None),
            Some(node) => (self.path.as_str(), Some(node.document().text_pos_at(node.range().start).row)),
            None => return Ok(()),
        };
        let message = "Maven would load this extension while it has the credentials of registries";
        let found = Diagnostic::new(message).at(file, line, None);
        Err(PlanError::Dependencies(found.hint("leave it out: plugins run later, without credentials")))
    }

    /// Refuses what would run code of others in Maven.
    ///
    /// # Errors
    /// When there is such a thing.
    pub(super) fn runs_nothing(&self, compiler: &Compiler) -> Result<(), PlanError> {
        let refuse = |file: &str, line, what: &str| {
            let message = format!("{what}, and code of dependencies may not run at build time here");
            let hint = "leave it out, or ask the operator for INJECTOR_BUILD_SCRIPTS=allow";
            Err(PlanError::Dependencies(Diagnostic::new(message).at(file, line, None).hint(hint)))
        };
        let Compiler::Maven { why } = compiler else { return Ok(()) };
        let root = self.document.as_ref().map(Document::root_element);
        let build = root.and_then(|root| child(root, "build"));
        let plugins = build.and_then(|build| child(build, "plugins"));
        let strange = plugins.iter().flat_map(|plugins| elements(*plugins)).find(|plugin| {
            let name = value(*plugin, "artifactId").unwrap_or_default();
            !BESIDE.contains(&name) && name != COMPILER
        });
        match strange.and_then(|plugin| Some((plugin, value(plugin, "artifactId")?))) {
            Some((plugin, name)) => {
                let line = plugin.document().text_pos_at(plugin.range().start).row;
                refuse(self.path.as_str(), Some(line), &format!("the plugin {name} would run"))
            }
            None => refuse(self.path.as_str(), None, &format!("Maven's plugins would compile: {why}")),
        }
    }

    /// Refuses a Java that is newer than the image's.
    fn admits(&self, root: Node<'_, '_>, flags: &[(&str, String)], javac: &Tool) -> Result<(), PlanError> {
        let found = javac.identity.version.prefix(1);
        for (_, wanted) in flags.iter().filter(|(flag, _)| ["--release", "-source", "-target"].contains(flag))
        {
            let Some(version) = wanted.strip_prefix("1.").unwrap_or(wanted).parse::<Version>().ok() else {
                continue;
            };
            if version > found {
                let node = root
                    .descendants()
                    .find(|node| node.is_text() && node.text().is_some_and(|text| text.trim() == wanted));
                let at = node
                    .and_then(|node| node.parent_element())
                    .map(|node| node.document().text_pos_at(node.range().start));
                let said = Diagnostic::new(format!(
                    "the function is for Java {version}, this image has {}",
                    javac.identity.version
                ))
                .at(self.path.as_str(), at.map(|at| at.row), at.map(|at| at.col))
                .hint(format!("choose an image with JDK {version}, or lower the version"));
                return Err(PlanError::Version(said));
            }
        }
        Ok(())
    }

    /// The line of a dependency, by its artifact.
    pub(super) fn line_of(&self, group: &str, artifact: &str) -> Option<u32> {
        let document = self.document.as_ref()?;
        let node = document.descendants().find(|node| {
            value(*node, "groupId") == Some(group) && value(*node, "artifactId") == Some(artifact)
        })?;
        Some(document.text_pos_at(node.range().start).row)
    }
}

/// What the properties ask of javac.
fn properties(root: Node<'_, '_>) -> Vec<(&'static str, String)> {
    let properties = child(root, "properties");
    let find = |name: &str| properties.and_then(|all| value(all, name));
    let of = |(name, flag)| {
        let text = find(name)?;
        let referred = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).and_then(find);
        Some((flag, referred.unwrap_or(text).to_owned()))
    };
    let known = [
        ("project.build.sourceEncoding", "-encoding"),
        ("maven.compiler.source", "-source"),
        ("maven.compiler.target", "-target"),
        ("maven.compiler.release", "--release"),
        ("maven.compiler.parameters", "-parameters"),
    ];
    known.into_iter().filter_map(of).collect()
}

/// What a `maven-compiler-plugin` asks of javac, if that is all it does.
fn compiler_flags(plugin: Node<'_, '_>) -> Option<Vec<(&'static str, String)>> {
    let known = ["groupId", "artifactId", "version", "configuration"];
    if elements(plugin).any(|part| !known.contains(&part.tag_name().name())) {
        return None;
    }
    let configuration = child(plugin, "configuration");
    let flag = |option: Node<'_, '_>| {
        let flag = match option.tag_name().name() {
            "release" => "--release",
            "source" => "-source",
            "target" => "-target",
            "encoding" => "-encoding",
            "parameters" => "-parameters",
            _ => return None,
        };
        Some((flag, option.text()?.trim().to_owned()))
    };
    configuration.iter().flat_map(|all| elements(*all)).map(flag).collect()
}

fn set(flags: &mut Vec<(&'static str, String)>, (flag, value): (&'static str, String)) {
    flags.retain(|(known, _)| *known != flag);
    flags.push((flag, value));
}

fn elements<'a, 'b>(node: Node<'a, 'b>) -> impl Iterator<Item = Node<'a, 'b>> {
    node.children().filter(Node::is_element)
}

fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    elements(node).find(|child| child.tag_name().name() == name)
}

fn value<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim)
}
