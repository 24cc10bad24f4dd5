// What a function is called with: the fields that Kubeless had, and the request behind them.
package io.kubeless;

import java.util.List;
import java.util.Map;

/** An event. */
public class Event {
    /** The body as text, UTF-8; empty where there is none. */
    public final String Data;
    /** The header {@code event-id}; empty where there is none, as the others. */
    public final String EventID;
    /** The header {@code event-type}. */
    public final String EventType;
    /** The header {@code event-time}. */
    public final String EventTime;
    /** The header {@code event-namespace}. */
    public final String EventNamespace;
    /** What Kubeless did not have: the request; null in an event of an author's own. */
    public final Request Request;

    /** An event of an author's own, for tests. */
    public Event(String data, String eventId, String eventType, String eventTime, String eventNamespace) {
        this(data, eventId, eventType, eventTime, eventNamespace, null);
    }

    /** An event with its request. */
    public Event(
            String data, String eventId, String eventType, String eventTime, String eventNamespace, Request request) {
        Data = data;
        EventID = eventId;
        EventType = eventType;
        EventTime = eventTime;
        EventNamespace = eventNamespace;
        Request = request;
    }

    /** An HTTP request. It stands within the event, so that no class of an author's has its name. */
    public static class Request {
        /** {@code GET}, {@code POST}, …. */
        public final String Method;
        /** The path, as it was sent: still percent-encoded. */
        public final String Path;
        /** What follows the question mark, as it was sent; null where there is none. */
        public final String Query;
        /** All values of each header, in their order; names are found in either case. */
        public final Map<String, List<String>> Headers;
        /** The body. */
        public final byte[] Body;

        /** A request. */
        public Request(String method, String path, String query, Map<String, List<String>> headers, byte[] body) {
            Method = method;
            Path = path;
            Query = query;
            Headers = headers;
            Body = body;
        }

        /** A header's values, with commas between them; null where there is none. */
        public String header(String name) {
            List<String> values = Headers.get(name);
            return values == null ? null : String.join(", ", values);
        }
    }
}
