import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.NamedNodeMap;
import org.w3c.dom.Node;

/** What an application read from a request: one value a line, as its kind and base64. */
class Values {
    private final StringBuilder lines = new StringBuilder();

    /** A reader of some part of a request, which may refuse it. */
    interface Reader {
        void read() throws Exception;
    }

    void show(String kind, Object node) {
        if (node instanceof Map<?, ?> map) {
            map.values().forEach(value -> show(kind, value));
        } else if (node instanceof Iterable<?> values) {
            values.forEach(value -> show(kind, value));
        } else if (node instanceof String[] values) {
            for (String value : values) {
                show(kind, value);
            }
        } else if (node instanceof String text) {
            lines.append(kind).append(' ').append(Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8))).append('\n');
        }
    }

    /** Runs `reader`; what it refuses is not shown. */
    void attempt(Reader reader) {
        try {
            reader.read();
        } catch (Exception | StackOverflowError refused) {
            // The application has no such value.
        }
    }

    /** A document as Gson reads it, which is lenient about quotes, separators and comments. */
    void gson(byte[] body, String charset) {
        attempt(() -> {
            Charset declared = charset == null ? StandardCharsets.UTF_8 : Charset.forName(charset);
            try (var reader = new InputStreamReader(new ByteArrayInputStream(body), declared)) {
                show("JSON", new com.google.gson.GsonBuilder().setLenient().create().fromJson(reader, Object.class));
            }
        });
    }

    /** A document as Jackson reads it with what applications switch on for people who write JSON by hand. */
    void jackson(byte[] body) {
        attempt(() -> {
            var mapper = com.fasterxml.jackson.databind.json.JsonMapper.builder();
            for (var feature : com.fasterxml.jackson.core.json.JsonReadFeature.values()) {
                mapper.enable(feature);
            }
            show("JSON", mapper.build().readValue(body, Object.class));
        });
    }

    void xml(byte[] body) {
        attempt(() -> {
            var builder = DocumentBuilderFactory.newInstance().newDocumentBuilder();
            builder.setErrorHandler(null);
            Element root = builder.parse(new ByteArrayInputStream(body)).getDocumentElement();
            show("XML", root.getTextContent());
            var elements = root.getElementsByTagName("*");
            attributes(root);
            for (int i = 0; i < elements.getLength(); i++) {
                show("XML", elements.item(i).getTextContent());
                attributes(elements.item(i));
            }
        });
    }

    private void attributes(Node element) {
        NamedNodeMap attributes = element.getAttributes();
        for (int i = 0; i < attributes.getLength(); i++) {
            show("XML", attributes.item(i).getNodeValue());
        }
    }

    byte[] bytes() throws IOException {
        return lines.toString().getBytes(StandardCharsets.US_ASCII);
    }
}
