// Asks for a page as programs in Java do without a library. Before version 20 (JDK-8170305) the client takes
// a 103 for the final response.
//
// Usage: java UrlConnection.java URL. Prints `main path status bytes`.

import java.net.HttpURLConnection;
import java.net.URI;

public class UrlConnection {
    public static void main(String[] arguments) throws Exception {
        URI page = URI.create(arguments[0]);
        HttpURLConnection connection = (HttpURLConnection) page.toURL().openConnection();
        int status = connection.getResponseCode();
        int size = connection.getInputStream().readAllBytes().length;
        System.out.println("main " + page.getPath() + " " + status + " " + size);
    }
}
