import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubeless.Context;
import io.kubeless.Event;

/** Greets whoever the JSON names. */
public class Hello {
    private static final ObjectMapper JSON = new ObjectMapper();

    public String greet(Event event, Context context) throws Exception {
        JsonNode asked = JSON.readTree(event.Data);
        System.out.println("edit 0");
        return "hello " + asked.path("name").asText("you");
    }
}
