// What a function may know of how it is deployed: the fields that Kubeless had.
package io.kubeless;

/** Where a function runs. */
public class Context {
    /** The method's name. */
    public final String functionName;
    /** {@code FUNC_TIMEOUT}, in seconds. */
    public final String timeout;
    /** {@code FUNC_RUNTIME}, for example {@code java17}. */
    public final String runtime;
    /** {@code FUNC_MEMORY_LIMIT}; null where there is none. */
    public final String memoryLimit;

    /** A context. */
    public Context(String functionName, String timeout, String runtime, String memoryLimit) {
        this.functionName = functionName;
        this.timeout = timeout;
        this.runtime = runtime;
        this.memoryLimit = memoryLimit;
    }
}
