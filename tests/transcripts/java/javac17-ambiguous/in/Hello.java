import java.util.*;
import java.sql.*;
import io.kubeless.Context;
import io.kubeless.Event;

public class Hello {
    public String handler(Event event, Context context) {
        java.util.List<String> a = null; return new Date().toString();
    }
}
