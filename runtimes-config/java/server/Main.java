// Serves one Java method over HTTP/1.1, with the modules java.base and jdk.unsupported (for signals) alone.
//
//     java -cp CLASSES:SERVER:DEPS injector.server.Main CLASS METHOD LABEL
//
// `GET /healthz` answers OK; every other request calls METHOD(Event, Context) of CLASS, static or of one instance, each
// connection in a thread of its own. SIGTERM and SIGINT stop accepting, let running requests end, and exit with 0.
// Reads FUNC_PORT, FUNC_TIMEOUT, FUNC_RUNTIME and FUNC_MEMORY_LIMIT.
package injector.server;

import io.kubeless.Context;
import io.kubeless.Event;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadFactory;

/** The server of one function. */
public final class Main {
    /** Milliseconds that the requests have which are on the wire when the server stops. */
    private static final int WIRE = 100;
    /** Milliseconds that the function's own shutdown hooks have after the last request. */
    private static final int GRACE = 5_000;

    private static final Set<Connection> connections = ConcurrentHashMap.newKeySet();
    private static volatile boolean stopping;

    private Main() {}

    /** Loads the function, and serves it. */
    public static void main(String[] args) {
        String timeout = setting("FUNC_TIMEOUT", "180");
        number("FUNC_TIMEOUT", timeout);
        int port = (int) number("FUNC_PORT", setting("FUNC_PORT", "8080"));
        onSignals(() -> exit(0)); // While the function is loaded nothing runs that could end.
        Function function;
        try {
            function = load(args[0], args[1]);
        } catch (Throwable error) { // An error in a static initializer is none of ours, either.
            Throwable cause = cause(error);
            throw refuse("error: cannot load " + args[0] + ": " + words(cause) + "\n" + story(cause));
        }
        Context context =
                new Context(args[1], timeout, System.getenv("FUNC_RUNTIME"), System.getenv("FUNC_MEMORY_LIMIT"));
        ServerSocket listener;
        try {
            listener = new ServerSocket(port, 1024);
        } catch (IOException | IllegalArgumentException error) { // The second for a number that no port has.
            throw refuse("error: cannot listen on FUNC_PORT " + port + ": " + error.getMessage());
        }
        onSignals(() -> stop(listener));
        log("listening on :" + listener.getLocalPort() + " (" + args[2] + ", java " + Runtime.version().feature() + ")");
        accept(listener, event -> function.call(event, context));
    }

    private static String setting(String name, String fallback) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? fallback : value;
    }

    private static double number(String name, String value) {
        try {
            return Double.parseDouble(value);
        } catch (NumberFormatException error) {
            throw refuse("error: " + name + " is '" + value + "', which is not a number");
        }
    }

    private static Error refuse(String line) {
        log(line);
        exit(1);
        return new Error();
    }

    /** Runs the shutdown hooks of the function, for as long as they may take. */
    private static void exit(int status) {
        Thread last = new Thread(() -> {
            pause(GRACE);
            Runtime.getRuntime().halt(status);
        });
        last.setDaemon(true);
        last.start();
        System.exit(status);
    }

    // The function

    /** What is called for each request. */
    interface Function {
        Object call(Event event, Context context) throws Throwable;
    }

    /** What answers an event. */
    interface Handler {
        Object call(Event event) throws Throwable;
    }

    private static Function load(String className, String name) throws Throwable {
        Class<?> type = Class.forName(className);
        Method method = type.getMethod(name, Event.class, Context.class);
        Object instance = Modifier.isStatic(method.getModifiers()) ? null : type.getConstructor().newInstance();
        method.setAccessible(true); // The class itself need not be public, as long as the method is.
        return (event, context) -> {
            try {
                return method.invoke(instance, event, context);
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
        };
    }

    /** The error behind those of reflection and class loading. */
    private static Throwable cause(Throwable error) {
        boolean wraps = error instanceof InvocationTargetException || error instanceof ExceptionInInitializerError;
        return wraps && error.getCause() != null ? cause(error.getCause()) : error;
    }

    /** The error's kind and the first line of its message. */
    static String words(Throwable error) {
        return String.valueOf(error).lines().findFirst().orElse("an error without a message");
    }

    /** The stack trace, without what is not the author's. */
    static String story(Throwable error) {
        StringWriter text = new StringWriter();
        error.printStackTrace(new PrintWriter(text, true));
        StringBuilder own = new StringBuilder();
        text.toString().lines().filter(Main::isTold).forEach(line -> own.append(line).append('\n'));
        return own.toString();
    }

    private static boolean isTold(String line) {
        String at = line.strip();
        String[] foreign = {"at injector.server.", "at java.base/jdk.internal.reflect.", "at java.base/java.lang.reflect."};
        for (String start : foreign) {
            if (at.startsWith(start)) return false;
        }
        return true;
    }

    // The server

    private static void accept(ServerSocket listener, Handler handler) {
        ThreadFactory threads = threads();
        while (true) {
            try {
                Socket socket = listener.accept();
                Connection connection = new Connection(socket, handler, () -> stopping);
                connections.add(connection);
                threads.newThread(() -> {
                    try {
                        connection.serve();
                    } finally {
                        connections.remove(connection);
                    }
                }).start();
            } catch (IOException | OutOfMemoryError error) { // The second where no thread can be made.
                if (listener.isClosed()) return;
                log("error: cannot accept a connection: " + error.getMessage());
                pause(100); // Out of file descriptors, most likely: let some requests end.
            }
        }
    }

    /** Virtual threads, where one that waits in a synchronized block no longer blocks others: https://openjdk.org/jeps/491. */
    private static ThreadFactory threads() {
        if (Runtime.version().feature() >= 24) {
            try {
                Object builder = Thread.class.getMethod("ofVirtual").invoke(null);
                Class<?> type = Class.forName("java.lang.Thread$Builder");
                return (ThreadFactory) type.getMethod("factory").invoke(builder);
            } catch (ReflectiveOperationException error) {
                // Threads of the operating system, then.
            }
        }
        return task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        };
    }

    private static void stop(ServerSocket listener) {
        if (stopping) Runtime.getRuntime().halt(0); // A second signal does not wait.
        stopping = true;
        Thread last = new Thread(() -> {
            pause(WIRE);
            try {
                listener.close();
            } catch (IOException error) {
                // It is closed all the same.
            }
            while (!connections.isEmpty()) {
                connections.forEach(Connection::endIfIdle);
                pause(10);
            }
            exit(0);
        });
        last.setDaemon(false); // As the signal's own thread is.
        last.start();
    }

    /** Nothing else lets a program end on SIGTERM with the status 0. */
    private static void onSignals(Runnable action) {
        for (String name : new String[] {"TERM", "INT"}) {
            sun.misc.Signal.handle(new sun.misc.Signal(name), signal -> action.run());
        }
    }

    static void pause(int milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    /** One write, so that the lines of parallel requests do not mix. */
    static void log(String text) {
        byte[] line = (text.endsWith("\n") ? text : text + "\n").getBytes(java.nio.charset.StandardCharsets.UTF_8);
        System.err.write(line, 0, line.length);
        System.err.flush();
    }
}
