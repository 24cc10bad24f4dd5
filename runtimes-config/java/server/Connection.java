// One client's requests, one after the other, by https://www.rfc-editor.org/rfc/rfc9112.
//
// Why not jdk.httpserver: up to JDK 25 a lone CR ends a line there, and "\r\r" the headers; a chunk's size counts modulo 2^32,
// and none as 0. So one request can hide another, and no setting forbids it. It also refuses URLs that browsers send (`?q=a|b`).
// https://github.com/openjdk/jdk/blob/jdk-25-ga/src/jdk.httpserver/share/classes/sun/net/httpserver/Request.java
// https://github.com/openjdk/jdk/blob/jdk-25-ga/src/jdk.httpserver/share/classes/sun/net/httpserver/ChunkedInputStream.java
package injector.server;

import io.kubeless.Event;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A client's connection. */
final class Connection {
    private static final int LINE = 64 << 10; // The longest request line, and the most bytes of headers.
    private static final int IDLE = 75_000; // Milliseconds without a byte; ingresses keep connections for 60 seconds.
    private static final int LINGER = 1_000; // Milliseconds for which what a refused client still sends is read.
    private static final int PIECE = 64 << 10; // A body is read in pieces, so that an announced size takes no memory.
    private static final String TOKEN = "([!#$%&'*+.^_`|~0-9A-Za-z-]+)";
    private static final Pattern REQUEST = Pattern.compile(TOKEN + " ([^\\x00-\\x20\\x7f]+) HTTP/(\\d)\\.(\\d)");
    private static final Pattern FIELD = Pattern.compile(TOKEN + ":([^\\x00-\\x08\\x0a-\\x1f\\x7f]*)");
    private static final Pattern CHUNK = Pattern.compile("([0-9a-fA-F]{1,8})[ \\t]*(?:;.*)?");
    private static final Map<Integer, String> PHRASES = Map.of(
            200, "OK", 400, "Bad Request", 408, "Request Timeout", 413, "Content Too Large", 414, "URI Too Long",
            417, "Expectation Failed", 431, "Request Header Fields Too Large", 500, "Internal Server Error",
            501, "Not Implemented", 505, "HTTP Version Not Supported");
    private static final String TEXT = "text/plain; charset=utf-8";

    private final Socket socket;
    private final Main.Handler handler;
    private final BooleanSupplier stopping;
    private volatile boolean idle = true;
    private BufferedInputStream in;
    private OutputStream out;
    private boolean keep;
    private boolean bodiless;

    Connection(Socket socket, Main.Handler handler, BooleanSupplier stopping) {
        this.socket = socket;
        this.handler = handler;
        this.stopping = stopping;
    }

    /** A request that is not passed on: its status, and why. */
    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1;
        final int status;

        Refused(int status, String reason) {
            super(reason, null, false, false);
            this.status = status;
        }
    }

    /** Answers until the client, or the server, has enough. */
    void serve() {
        try (socket) {
            socket.setSoTimeout(IDLE);
            socket.setTcpNoDelay(true);
            in = new BufferedInputStream(socket.getInputStream(), PIECE);
            out = socket.getOutputStream();
            boolean more = true;
            while (more && comes()) {
                more = serveOne();
            }
        } catch (IOException error) {
            // The client has gone, or says nothing.
        }
    }

    /** Waits for the next request. */
    private boolean comes() throws IOException {
        idle = in.available() == 0;
        in.mark(1);
        int next = in.read();
        idle = false;
        in.reset();
        return next >= 0;
    }

    /** Wakes a connection that waits for a request, unless one is on its way: none will be answered any more. */
    void endIfIdle() {
        try {
            if (idle && socket.getInputStream().available() == 0) socket.shutdownInput();
        } catch (IOException error) {
            // It has ended by itself.
        }
    }

    private boolean serveOne() throws IOException {
        keep = false;
        bodiless = false;
        Event event;
        try {
            event = read();
        } catch (Refused refusal) {
            keep = false;
            send(refusal.status, TEXT, (refusal.getMessage() + "\n").getBytes(StandardCharsets.UTF_8));
            linger();
            return false;
        } catch (SocketTimeoutException error) {
            send(408, TEXT, "the request does not go on\n".getBytes(StandardCharsets.UTF_8));
            return false;
        }
        Event.Request request = event.Request;
        boolean reads = bodiless || request.Method.equals("GET");
        if (reads && request.Path.equals("/healthz")) {
            send(200, TEXT, "OK".getBytes(StandardCharsets.UTF_8));
            return keep;
        }
        byte[] body;
        String kind = TEXT;
        try {
            Object result = settled(handler.call(event));
            if (result instanceof InputStream) {
                try (InputStream stream = (InputStream) result) {
                    result = stream.readAllBytes();
                }
            }
            if (result instanceof byte[]) kind = "application/octet-stream";
            body = result instanceof byte[]
                    ? (byte[]) result
                    : result == null ? new byte[0] : result.toString().getBytes(StandardCharsets.UTF_8);
        } catch (Throwable error) { // An OutOfMemoryError or StackOverflowError in a function ends no server.
            Main.log("error: " + request.Method + " " + request.Path + ": " + Main.words(error) + "\n" + Main.story(error));
            send(500, TEXT, "Internal Server Error\n".getBytes(StandardCharsets.UTF_8));
            return keep;
        }
        send(200, kind, body);
        return keep;
    }

    /** What a promise of the function brings. */
    private static Object settled(Object result) throws Throwable {
        if (!(result instanceof CompletionStage)) return result;
        try {
            return ((CompletionStage<?>) result).toCompletableFuture().get();
        } catch (ExecutionException error) {
            throw error.getCause();
        }
    }

    // Requests

    private Event read() throws IOException, Refused {
        String line = line(LINE, 414, "the request line is too long");
        if (line.isEmpty()) line = line(LINE, 414, "the request line is too long"); // Ignored before a request.
        Matcher parts = matched(REQUEST, line, "malformed request line");
        if (!parts.group(3).equals("1")) throw new Refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
        String method = parts.group(1);
        boolean modern = !parts.group(4).equals("0");
        Map<String, List<String>> headers = fields();
        byte[] body = body(headers, modern);
        keep = modern && !joined(headers, "Connection").toLowerCase().contains("close");
        bodiless = method.equals("HEAD");
        String target = parts.group(2).replaceFirst("^(?i:https?)://[^/?]*", "");
        int mark = target.indexOf('?');
        String path = mark < 0 ? target : target.substring(0, mark);
        String query = mark < 0 ? null : target.substring(mark + 1);
        Event.Request request = new Event.Request(method, path.isEmpty() ? "/" : path, query, headers, body);
        String data = new String(body, StandardCharsets.UTF_8);
        return new Event(data, joined(headers, "event-id"), joined(headers, "event-type"),
                joined(headers, "event-time"), joined(headers, "event-namespace"), request);
    }

    /** A line without its end; in ISO 8859-1, so that no byte is lost. */
    private String line(int limit, int status, String reason) throws IOException, Refused {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        for (int next = next(); next != '\n'; next = next()) {
            if (text.size() > limit) throw new Refused(status, reason);
            text.write(next);
        }
        String line = text.toString(StandardCharsets.ISO_8859_1);
        if (!line.endsWith("\r")) throw new Refused(400, "a line break that is not CRLF");
        return line.substring(0, line.length() - 1);
    }

    private int next() throws IOException {
        int next = in.read();
        if (next < 0) throw new IOException("the client has gone");
        return next;
    }

    private static Matcher matched(Pattern pattern, String text, String reason) throws Refused {
        Matcher matcher = pattern.matcher(text);
        if (!matcher.matches()) throw new Refused(400, reason);
        return matcher;
    }

    private Map<String, List<String>> fields() throws IOException, Refused {
        Map<String, List<String>> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        int left = LINE;
        while (true) {
            String line = line(left, 431, "the headers are too long");
            if (line.isEmpty()) return headers;
            left -= line.length() + 2;
            Matcher field = matched(FIELD, line, "malformed header");
            headers.computeIfAbsent(field.group(1), name -> new ArrayList<>()).add(field.group(2).strip());
        }
    }

    private static String joined(Map<String, List<String>> headers, String name) {
        return String.join(", ", headers.getOrDefault(name, List.of()));
    }

    private byte[] body(Map<String, List<String>> headers, boolean modern) throws IOException, Refused {
        List<String> length = headers.get("Content-Length");
        List<String> encoding = headers.get("Transfer-Encoding");
        if (encoding != null && (length != null || !modern)) {
            throw new Refused(400, "Transfer-Encoding, and a length as well");
        }
        if (encoding != null && !joined(headers, "Transfer-Encoding").equalsIgnoreCase("chunked")) {
            throw new Refused(501, "the only transfer coding known here is chunked");
        }
        if (length != null && (length.size() > 1 || !length.get(0).matches("[0-9]{1,18}"))) {
            throw new Refused(400, "malformed Content-Length");
        }
        if (modern && joined(headers, "Expect").equalsIgnoreCase("100-continue")) {
            out.write("HTTP/1.1 100 Continue\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
        }
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        if (length != null) copy(body, Long.parseLong(length.get(0)));
        if (encoding != null) chunks(body);
        return body.toByteArray();
    }

    private void chunks(ByteArrayOutputStream body) throws IOException, Refused {
        while (true) {
            Matcher chunk = matched(CHUNK, line(LINE, 400, "malformed chunk"), "malformed chunk");
            long size = Long.parseLong(chunk.group(1), 16);
            if (size == 0) break;
            copy(body, size);
            if (!line(1, 400, "malformed chunk").isEmpty()) throw new Refused(400, "malformed chunk");
        }
        fields(); // Trailers are read over.
    }

    private void copy(ByteArrayOutputStream body, long size) throws IOException, Refused {
        byte[] piece = new byte[(int) Math.min(size, PIECE)];
        for (long left = size; left > 0; ) {
            if (body.size() + left > Integer.MAX_VALUE - 8) throw new Refused(413, "the body is too long");
            int count = in.read(piece, 0, (int) Math.min(left, piece.length));
            if (count < 0) throw new IOException("the client has gone");
            body.write(piece, 0, count);
            left -= count;
        }
    }

    // Answers

    private void send(int status, String kind, byte[] body) throws IOException {
        if (stopping.getAsBoolean() && in.available() == 0) keep = false;
        StringBuilder head = new StringBuilder("HTTP/1.1 " + status + " " + PHRASES.get(status) + "\r\n");
        head.append("Content-Type: ").append(kind).append("\r\nContent-Length: ").append(body.length).append("\r\n");
        if (!keep) head.append("Connection: close\r\n");
        byte[] start = head.append("\r\n").toString().getBytes(StandardCharsets.US_ASCII);
        ByteArrayOutputStream all = new ByteArrayOutputStream(start.length + Math.min(body.length, PIECE));
        all.writeBytes(start);
        boolean small = body.length <= PIECE;
        if (small && !bodiless) all.writeBytes(body);
        all.writeTo(out);
        if (!small && !bodiless) out.write(body);
    }

    /** Reads on for a while: to close at once would reset the connection, and lose the answer. */
    private void linger() throws IOException {
        socket.shutdownOutput();
        socket.setSoTimeout(LINGER);
        long end = System.nanoTime() + LINGER * 1_000_000L;
        byte[] piece = new byte[PIECE];
        while (System.nanoTime() < end && in.read(piece) >= 0) {
            // It is not wanted.
        }
    }
}
