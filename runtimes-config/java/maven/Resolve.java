// Lets Maven resolve a function's dependencies without any plugin, which would first have to be downloaded itself.
//
// An extension of Maven's core (`-Dmaven.ext.class.path`) for 3.8 and later, compiled for Java 11: older Mavens do not find it
// in newer class files. Beside the goal `validate`, which does nothing:
//
//     -Dinjector.jars=DIR      where the jars of the runtime class path go, with a `classpath.jar` that names them in order
//     -Dinjector.compile=FILE  a jar that names those that javac shall see, in the local repository
//     -Dinjector.phase=PHASE   brings in the plugins that run up to this phase of the default lifecycle, without running them
//     -Dinjector.sources=DIR   where sources are, too: Kubeless' functions are not in src/main/java
//     -Dinjector.classes=DIR   where the project's class files go once the goals that were asked for have made them
package injector.maven;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.inject.Inject;
import javax.inject.Named;
import javax.inject.Singleton;
import org.apache.maven.AbstractMavenLifecycleParticipant;
import org.apache.maven.MavenExecutionException;
import org.apache.maven.execution.MavenSession;
import org.apache.maven.lifecycle.LifecycleExecutor;
import org.apache.maven.plugin.BuildPluginManager;
import org.apache.maven.plugin.MojoExecution;
import org.apache.maven.project.DefaultDependencyResolutionRequest;
import org.apache.maven.project.MavenProject;
import org.apache.maven.project.ProjectDependenciesResolver;
import org.eclipse.aether.artifact.Artifact;
import org.eclipse.aether.graph.Dependency;

/** Resolves what a function depends on, and hands out what Maven compiled. */
@Named
@Singleton
public class Resolve extends AbstractMavenLifecycleParticipant {
    /** The group of the API, which stands on every class path anyhow. */
    private static final String OURS = "io.kubeless";

    private final ProjectDependenciesResolver resolver;
    private final LifecycleExecutor lifecycle;
    private final BuildPluginManager plugins;

    @Inject
    public Resolve(ProjectDependenciesResolver resolver, LifecycleExecutor lifecycle, BuildPluginManager plugins) {
        this.resolver = resolver;
        this.lifecycle = lifecycle;
        this.plugins = plugins;
    }

    /** Installs the API, of which our class files are a part, as the dependency that Kubeless' POMs name. */
    @Override
    public void afterSessionStart(MavenSession session) throws MavenExecutionException {
        try {
            Path classes = Path.of(Resolve.class.getProtectionDomain().getCodeSource().getLocation().toURI());
            Path repository = path(session.getUserProperties(), "maven.repo.local");
            Path jar = repository.resolve("io/kubeless/params/1.0-SNAPSHOT/params-1.0-SNAPSHOT.jar");
            if (Files.exists(jar)) return;
            try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(jar));
                    Stream<Path> files = Files.list(classes.resolve("io/kubeless"))) {
                for (Path file : (Iterable<Path>) files.sorted()::iterator) {
                    zip.putNextEntry(entry("io/kubeless/" + file.getFileName()));
                    Files.copy(file, zip);
                }
            }
        } catch (IOException | URISyntaxException error) {
            throw new MavenExecutionException("cannot install the API: " + error, error);
        }
    }

    @Override
    public void afterProjectsRead(MavenSession session) throws MavenExecutionException {
        Properties asked = session.getUserProperties();
        MavenProject project = session.getTopLevelProject();
        project.getDependencies().add(api());
        if (asked.containsKey("injector.sources")) {
            project.addCompileSourceRoot(asked.getProperty("injector.sources"));
        }
        setLevel(project.getProperties());
        try {
            if (asked.containsKey("injector.jars")) {
                resolve(session, project, path(asked, "injector.jars"), path(asked, "injector.compile"));
            }
            if (asked.containsKey("injector.phase")) {
                for (MojoExecution goal :
                        lifecycle.calculateExecutionPlan(session, asked.getProperty("injector.phase")).getMojoExecutions()) {
                    plugins.getPluginRealm(session, goal.getMojoDescriptor().getPluginDescriptor());
                }
            }
            if (asked.containsKey("injector.jars")) {
                // Where there are credentials, no plugin runs, not even one that is bound to the first phase.
                project.getBuild().getPlugins().clear();
                project.getBuild().flushPluginMap();
            }
        } catch (Exception error) {
            throw new MavenExecutionException(error.getMessage(), error);
        }
    }

    @Override
    public void afterSessionEnd(MavenSession session) throws MavenExecutionException {
        String to = session.getUserProperties().getProperty("injector.classes");
        if (to == null || session.getResult().hasExceptions()) return;
        Path from = Path.of(session.getTopLevelProject().getBuild().getOutputDirectory());
        if (!Files.isDirectory(from)) return;
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                Path target = Path.of(to).resolve(from.relativize(file).toString());
                if (Files.isDirectory(file)) Files.createDirectories(target);
                else Files.copy(file, target, StandardCopyOption.REPLACE_EXISTING);
            }
        } catch (IOException error) {
            throw new MavenExecutionException("cannot copy the class files: " + error, error);
        }
    }

    /** The JDK's own Java, where the POM names none: an old maven-compiler-plugin's default is one that no JDK knows any more. */
    private static void setLevel(Properties properties) {
        if (properties.containsKey("maven.compiler.source") || properties.containsKey("maven.compiler.target")) return;
        String own = System.getProperty("java.specification.version");
        String level = properties.getProperty("maven.compiler.release", own);
        properties.setProperty("maven.compiler.source", level);
        properties.setProperty("maven.compiler.target", level);
    }

    /** The API, for a POM that does not name it. */
    private static org.apache.maven.model.Dependency api() {
        org.apache.maven.model.Dependency api = new org.apache.maven.model.Dependency();
        api.setGroupId(OURS);
        api.setArtifactId("params");
        api.setVersion("1.0-SNAPSHOT");
        api.setScope("provided");
        return api;
    }

    private static Path path(Properties asked, String name) {
        return Path.of(asked.getProperty(name)).toAbsolutePath();
    }

    private void resolve(MavenSession session, MavenProject project, Path jars, Path compile) throws Exception {
        DefaultDependencyResolutionRequest request =
                new DefaultDependencyResolutionRequest(project, session.getRepositorySession());
        request.setResolutionFilter((node, parents) ->
                node.getDependency() == null || !node.getDependency().getScope().equals("test"));
        List<Path> runtime = new ArrayList<>();
        List<Path> seen = new ArrayList<>();
        Set<String> names = new HashSet<>();
        Files.createDirectories(jars);
        for (Dependency dependency : resolver.resolve(request).getDependencies()) {
            Artifact artifact = dependency.getArtifact();
            File file = artifact.getFile();
            boolean ours = artifact.getGroupId().equals(OURS) && artifact.getArtifactId().equals("params");
            if (ours || file == null || !artifact.getExtension().equals("jar")) continue;
            String scope = dependency.getScope();
            if (!scope.equals("runtime")) seen.add(file.toPath());
            if (scope.equals("provided")) continue;
            String name = file.getName();
            if (!names.add(name)) name = artifact.getGroupId() + "." + name;
            runtime.add(Files.copy(file.toPath(), jars.resolve(name), StandardCopyOption.REPLACE_EXISTING));
            System.out.println(
                    "[INFO] resolved " + artifact.getGroupId() + ":" + artifact.getArtifactId() + ":" + artifact.getVersion());
        }
        list(runtime, jars.resolve("classpath.jar"));
        list(seen, compile);
    }

    /** A jar that names others, relative to itself: in their order, wherever all of them are moved. */
    private static void list(List<Path> files, Path to) throws IOException {
        List<String> paths = new ArrayList<>();
        for (Path file : files) {
            paths.add(to.getParent().toUri().relativize(file.toUri()).toString());
        }
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        manifest.getMainAttributes().put(Attributes.Name.CLASS_PATH, String.join(" ", paths));
        try (OutputStream out = Files.newOutputStream(to); ZipOutputStream zip = new ZipOutputStream(out)) {
            zip.putNextEntry(entry(JarFile.MANIFEST_NAME));
            manifest.write(zip);
        }
    }

    /** An entry that is the same at any time. */
    private static ZipEntry entry(String name) {
        ZipEntry entry = new ZipEntry(name);
        entry.setTimeLocal(LocalDateTime.of(1980, 1, 1, 0, 0));
        return entry;
    }
}
