public class Hello {
    String a() {
        return null;
