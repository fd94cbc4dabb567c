import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** A server with one lock and one hot function, for the test of stacks. */
public class Ledger {
    private static final Object BOOK = new Object();
    private static volatile long sum;

    private static void add() throws InterruptedException {
        synchronized (BOOK) { // lock
            Thread.sleep(10); // held
        }
    }

    private static void render() {
        long value = 0;
        for (int round = 0; round < 20_000_000; round++) {
            value = value * 31 + round; // hot
        }
        sum += value;
    }

    private static void answer(HttpExchange exchange) {
        try {
            String path = exchange.getRequestURI().getPath();
            if (path.equals("/lock")) {
                add();
            } else if (path.equals("/hot")) {
                render();
            }
            exchange.sendResponseHeaders(200, 2);
            exchange.getResponseBody().write("ok".getBytes());
            exchange.close();
        } catch (Exception error) {
            exchange.close();
        }
    }

    public static void main(String[] arguments) throws Exception {
        var address = new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]));
        var server = HttpServer.create(address, 1024);
        server.setExecutor(Executors.newFixedThreadPool(64));
        server.createContext("/", Ledger::answer);
        server.start();
    }
}
