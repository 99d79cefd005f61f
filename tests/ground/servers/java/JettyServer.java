import java.io.IOException;
import java.net.InetSocketAddress;
import javax.servlet.MultipartConfigElement;
import javax.servlet.http.Cookie;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import javax.servlet.http.Part;
import org.apache.commons.fileupload.FileItem;
import org.apache.commons.fileupload.disk.DiskFileItemFactory;
import org.apache.commons.fileupload.servlet.ServletFileUpload;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/** An application on Jetty, with documents read by Jackson. Arguments: port, folder for temporary files, who reads
 * multipart bodies (`own`, or `fileupload` for Commons FileUpload, as older frameworks do). */
public class JettyServer {
    static class Every extends HttpServlet {
        private final boolean own;

        Every(boolean own) {
            this.own = own;
        }

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            Values values = new Values();
            values.show("path", request.getServletPath() + request.getPathInfo());
            if (request.getCookies() != null) {
                for (Cookie cookie : request.getCookies()) {
                    values.show("cookie", cookie.getValue());
                }
            }
            values.attempt(() -> multipart(request, values));
            values.attempt(() -> values.show("field", request.getParameterMap()));
            values.attempt(() -> {
                byte[] body = request.getInputStream().readAllBytes();
                values.jackson(body);
                values.xml(body);
            });
            response.setContentType("text/plain");
            response.getOutputStream().write(values.bytes());
        }

        private void multipart(HttpServletRequest request, Values values) throws Exception {
            if (own) {
                for (Part part : request.getParts()) {
                    values.show("file name", part.getSubmittedFileName());
                }
                return;
            }
            for (FileItem item : new ServletFileUpload(new DiskFileItemFactory()).parseRequest(request)) {
                values.show("file name", item.getName());
                if (item.isFormField()) {
                    values.show("field", item.getString("UTF-8"));
                }
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Server server = new Server(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
        ServletContextHandler context = new ServletContextHandler();
        boolean own = arguments[2].equals("own");
        ServletHolder servlet = new ServletHolder(new Every(own));
        if (own) {
            servlet.getRegistration().setMultipartConfig(new MultipartConfigElement(arguments[1]));
        }
        context.addServlet(servlet, "/*");
        server.setHandler(context);
        server.start();
        server.join();
    }
}
