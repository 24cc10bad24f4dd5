import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/** Greets whoever the JSON names. */
public class Hello {
    private static final ObjectMapper JSON = new ObjectMapper();

    public String greet(String data) throws Exception {
        JsonNode asked = JSON.readTree(data);
        System.out.println("edit 0");
        return "hello " + asked.path("name").asText("you");
    }
}
