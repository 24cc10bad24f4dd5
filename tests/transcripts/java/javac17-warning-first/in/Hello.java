import io.kubeless.Context;
import io.kubeless.Event;

public class Hello {
    public String handler(Event event, Context context) {
        Thread.currentThread().stop();
        java.util.List raw = new java.util.ArrayList(); raw.add(1);
        return rwa;
    }
}
