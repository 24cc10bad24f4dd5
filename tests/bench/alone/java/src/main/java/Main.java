import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** What one would write around a function without us. */
public class Main {
    public static void main(String[] args) throws IOException {
        Hello hello = new Hello();
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> {
            int status = 200;
            String answer;
            try {
                answer = hello.greet(new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
            } catch (Exception error) {
                status = 500;
                answer = error.toString();
            }
            byte[] bytes = answer.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(status, bytes.length);
            exchange.getResponseBody().write(bytes);
            exchange.close();
        });
        server.start();
    }
}
