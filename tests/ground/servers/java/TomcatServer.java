import jakarta.servlet.MultipartConfigElement;
import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.Part;
import java.io.File;
import java.io.IOException;
import org.apache.catalina.startup.Tomcat;

/** An application on Tomcat, with documents read by Gson. Arguments: port, folder for temporary files. */
public class TomcatServer {
    static class Every extends HttpServlet {
        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            Values values = new Values();
            values.show("path", request.getServletPath() + request.getPathInfo());
            if (request.getCookies() != null) {
                for (Cookie cookie : request.getCookies()) {
                    values.show("cookie", cookie.getValue());
                }
            }
            values.attempt(() -> values.show("field", request.getParameterMap()));
            values.attempt(() -> {
                for (Part part : request.getParts()) {
                    values.show("file name", part.getSubmittedFileName());
                }
            });
            values.attempt(() -> {
                byte[] body = request.getInputStream().readAllBytes();
                values.gson(body, request.getCharacterEncoding());
                values.xml(body);
            });
            response.setContentType("text/plain");
            response.getOutputStream().write(values.bytes());
        }
    }

    public static void main(String[] arguments) throws Exception {
        Tomcat server = new Tomcat();
        server.setBaseDir(arguments[1]);
        server.setHostname("127.0.0.1");
        server.setPort(Integer.parseInt(arguments[0]));
        server.getConnector().setProperty("address", "127.0.0.1");
        var context = server.addContext("", new File(arguments[1]).getAbsolutePath());
        var servlet = Tomcat.addServlet(context, "every", new Every());
        servlet.setMultipartConfigElement(new MultipartConfigElement(arguments[1]));
        context.addServletMappingDecoded("/*", "every");
        server.start();
        server.getServer().await();
    }
}
