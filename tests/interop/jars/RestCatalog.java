import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.iceberg.jdbc.JdbcCatalog;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/**
 * Apache's reference REST catalog on loopback, for tests: RestCatalog WAREHOUSE DATABASE [hadoop.option=value]...
 * It says `listening on URL` and ends when its stdin does, so that it never outlives the test that began it.
 * Its own server class would listen on every address.
 */
public class RestCatalog {
  public static void main(String[] args) throws Exception {
    Map<String, String> properties = new HashMap<>();
    properties.put("warehouse", args[0]);
    properties.put("uri", "jdbc:sqlite:" + args[1]);
    properties.put("jdbc.schema-version", "V1");
    properties.put("clients", "1"); // SQLite has one writer
    properties.put("io-impl", "org.apache.iceberg.hadoop.HadoopFileIO");
    Configuration hadoop = new Configuration();
    for (int i = 2; i < args.length; i++) {
      int equals = args[i].indexOf('=');
      hadoop.set(args[i].substring(0, equals), args[i].substring(equals + 1));
    }
    JdbcCatalog catalog = new JdbcCatalog();
    catalog.setConf(hadoop);
    catalog.initialize("tests", properties);

    ServletContextHandler context = new ServletContextHandler();
    context.addServlet(new ServletHolder(new RESTCatalogServlet(new RESTCatalogAdapter(catalog))), "/*");
    Server server = new Server();
    ServerConnector connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    server.addConnector(connector);
    server.setHandler(context);
    server.start();
    System.out.println("listening on http://127.0.0.1:" + connector.getLocalPort());
    System.out.flush();
    while (System.in.read() >= 0) {}
    server.stop();
    System.exit(0);
  }
}
