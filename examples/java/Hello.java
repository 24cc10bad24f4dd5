import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubeless.Context;
import io.kubeless.Event;

public class Hello {
    private final ObjectMapper json = new ObjectMapper();

    public String handler(Event event, Context context) throws Exception {
        JsonNode asked = json.readTree(event.Data);
        return "Hello, " + asked.path("name").asText("world") + ", from " + context.functionName + "\n";
    }
}
