import io.kubeless.Context;
import io.kubeless.Event;

public class Hello {
    public String handler(Event event, Context context) {
        return "Hello";
    }
}
