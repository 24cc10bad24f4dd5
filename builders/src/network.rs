//! Evidence that it was the platform: network, registry, disk, memory. What tools say of it, and our words for it.

use std::sync::LazyLock;

use regex::Regex;

use crate::diagnostic::{Blame, Diagnostic, pattern};

/// What an installer said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    /// All of it.
    pub(crate) text: &'a str,
    /// The lines in which it speaks itself, not a build that it ran.
    pub(crate) told: &'a str,
    /// Finds the host that was spoken to, without credentials.
    pub(crate) host: fn(&str) -> Option<String>,
    /// Where its credentials are configured.
    pub(crate) credentials: &'static str,
}

/// What speaks for a failure that the author cannot mend, if anything does.
pub(crate) fn evidence(said: Said<'_>) -> Option<Diagnostic> {
    let found = CAUSES.iter().find_map(|cause| {
        let searched = if cause.anywhere { said.text } else { said.told };
        cause.pattern.captures(searched).map(|found| (cause, searched, found))
    });
    found.map(|(cause, searched, found)| {
        let (start, end) = found.get(0).map_or((0, 0), |all| (all.start(), all.end()));
        let line = searched[..start].rfind('\n').map_or(0, |before| before + 1)..end;
        // The line that tells of the trouble names its registry, where there are several.
        let host = (said.host)(&searched[line])
            .or_else(|| (said.host)(said.told))
            .or_else(|| (said.host)(said.text));
        let host = host.unwrap_or_else(|| "the registry".to_owned());
        let status = found.iter().skip(1).flatten().next().map_or("", |group| group.as_str());
        let message = cause.message.replace("{host}", &host).replace("{status}", status);
        platform(message, &cause.hint.replace("{credentials}", said.credentials))
    })
}

/// A proxy on the way to a host that does not answer.
pub(crate) fn proxy_unreachable(host: &str) -> Diagnostic {
    let [message, hint] = PROXY_UNREACHABLE;
    platform(message.replace("{host}", host), hint)
}

/// A message that blames the platform.
pub(crate) fn platform(message: impl Into<String>, hint: &str) -> Diagnostic {
    Diagnostic::new(message).hint(hint).blame(Blame::Platform)
}

const PROXY_UNREACHABLE: [&str; 2] = [
    "the proxy cannot be reached on the way to {host}",
    "check HTTPS_PROXY, or put the registry's host into NO_PROXY",
];

/// One kind of trouble.
struct Cause {
    pattern: Regex,
    /// Whether a build's own output counts too.
    anywhere: bool,
    message: &'static str,
    hint: &'static str,
}

/// The kinds of trouble, the most particular first.
static CAUSES: LazyLock<Vec<Cause>> = LazyLock::new(|| {
    let told = |text, message, hint| Cause { pattern: pattern(text), anywhere: false, message, hint };
    let anywhere = |text, message, hint| Cause { pattern: pattern(text), anywhere: true, message, hint };
    let [proxy_unreachable, check_proxy] = PROXY_UNREACHABLE;
    vec![
        // ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device
        // npm error nospc ENOSPC: no space left on device, write
        anywhere(
            r"[Nn]o space left on device|Disk quota exceeded|\bEDQUOT\b",
            "no space is left for the dependencies",
            "give the volumes of the build (function, tmp) more room",
        ),
        // gcc: fatal error: Killed signal terminated program cc1
        // FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
        anywhere(
            r"(?m)Cannot allocate memory|Killed signal terminated program|^\s*MemoryError$|JavaScript heap out of memory",
            "the installer ran out of memory",
            "raise the memory limit of the build container",
        ),
        // OSError('Tunnel connection failed: 407 Proxy Authentication Required')
        //   cause: tunnel error: proxy authorization required
        //  ERR_PNPM_FETCH_407  GET https://registry.example/greet: Proxy Authentication Required - 407
        // Get "https://registry.example/greet/@v/v1.0.0.mod": Proxy Authentication Required
        // fatal: unable to access 'https://git.example/greet.git/': CONNECT tunnel failed, response 407
        //   failed to get successful HTTP response from `http://registry.example/index/config.json` (10.0.0.1), got 407
        // from/to company (http://registry.example/maven): status code: 407, reason phrase: Proxy Authentication Required (407)
        told(
            r#"407 Proxy Authentication|407 Client Error|proxy authorization required|Proxy Authentication Required - 407|": Proxy Authentication Required|tunnel failed, response 407|HTTP code 407 from proxy|, got 407|[Ss]tatus(?: code)?: 407|Tunnel failed, got: 407"#,
            "the proxy asks for credentials",
            "put user and password into HTTPS_PROXY, or the host into NO_PROXY",
        ),
        // ProxyError('Cannot connect to proxy.', NewConnectionError(…
        //   cause: tunnel error: failed to create underlying connection
        // Get "https://registry.example/greet/@v/v1.0.0.mod": Forbidden
        told(
            r#"(?m)Tunnel connection failed: \d+|Tunnel failed, got: \d+|tunnel error: unsuccessful|tunnel failed, response \d+|HTTP code \d+ from proxy|Get "\S+": [A-Z][a-z][A-Za-z -]*$"#,
            "the proxy refuses to connect to {host}",
            "ask for access, or put the host into NO_PROXY",
        ),
        // proxyconnect tcp: dial tcp 127.0.0.1:8: connect: connection refused
        told(
            r"ProxyError|proxy connection error|tunnel error|proxyconnect tcp",
            proxy_unreachable,
            check_proxy,
        ),
        // npm error request to https://registry.example/greet failed, reason: certificate has expired
        //   cause: invalid peer certificate: Expired
        // x509: certificate has expired or is not yet valid: current time …
        // PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed
        told(
            r"certificate has expired|CERT_HAS_EXPIRED|invalid peer certificate: Expired|validity check failed",
            "the certificate of {host} has expired",
            "ask the registry's operator for a new one, and check the node's clock",
        ),
        // npm error code ERR_TLS_CERT_ALTNAME_INVALID
        //   cause: invalid peer certificate: certificate not valid for name "127.0.0.1"
        // x509: certificate is valid for elsewhere.example, not registry.example
        // x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs
        // fatal: unable to access '…': SSL: certificate subject name (elsewhere) does not match target host name 'git.example'
        //   [60] … (SSL: no alternative certificate subject name matches target host name 'registry.example')
        // Certificate for <127.0.0.1> doesn't match any of the subject alternative names: [registry.example]
        // No subject alternative names matching IP address 127.0.0.1 found
        told(
            r"ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate's altnames|certificate (?:is )?not valid for |x509: certificate is valid for |x509: cannot validate certificate for |does not match target host|no alternative certificate subject name|[Nn]o subject alternative|match any of the subject alternative names",
            "the certificate of {host} is for another name",
            "use the name in the certificate as the registry's URL; a proxy may have answered in its place",
        ),
        // [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)
        //   cause: invalid peer certificate: UnknownIssuer
        // npm error code SELF_SIGNED_CERT_IN_CHAIN
        // [ERR_PNPM_META_FETCH_FAIL] GET https://registry.example/greet: unable to verify the first certificate; …
        // tls: failed to verify certificate: x509: certificate signed by unknown authority
        // PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find …
        told(
            r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|SSL certificate problem|server certificate verification failed|SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT|self-signed certificate|unable to verify the first certificate|unable to get (?:local )?issuer certificate|x509: certificate signed by unknown authority|PKIX path building failed|PKIX path validation failed",
            "the certificate of {host} is not trusted",
            "give the company's CA in INJECTOR_CA_FILE",
        ),
        // npm error code ERR_SSL_WRONG_VERSION_NUMBER
        //   cause: received corrupt message of type InvalidContentType
        // tls: first record does not look like a TLS handshake
        // Unsupported or unrecognized SSL message
        told(
            r"wrong version number|WRONG_VERSION_NUMBER|InvalidContentType|does not look like a TLS handshake|gave HTTP response to HTTPS client|[Uu]nrecognized SSL message",
            "{host} does not speak TLS",
            "check whether its URL begins with http: or https:, and HTTPS_PROXY",
        ),
        // Failed to resolve 'no-such-host.invalid' ([Errno -2] Name or service not known)
        //   cause: dns error
        // npm error network request to https://no-such-host.invalid/greet failed, reason: getaddrinfo ENOTFOUND no-such-host.invalid
        // dial tcp: lookup no-such-host.invalid on 10.0.0.10:53: no such host
        //   failed to resolve address for no-such-host.invalid: Name or service not known; class=Net (12)
        // Connection to https://no-such-host.invalid/maven/ refused: …: ConnectException: UnresolvedAddressException
        told(
            r"getaddrinfo (?:ENOTFOUND|EAI_AGAIN) \S+|\((?:ENOTFOUND|EAI_AGAIN)\)|Name or service not known|Temporary failure in name resolution|No address associated with hostname|dns error|failed to lookup address|Could not resolve host|dial tcp: lookup |UnresolvedAddressException|[Uu]nknown host",
            "the name of {host} cannot be resolved",
            "check the registry's URL, the cluster's DNS, and HTTPS_PROXY if a proxy leads out",
        ),
        // WARNING: 401 Error, Credentials not correct for https://registry.example/simple/six/
        // hint: An index URL (…) could not be queried due to a lack of valid authentication credentials (401 Unauthorized)
        // npm http fetch GET 401 https://registry.example/greet 5ms (cache skip)
        //   ╰─▶ Tarball server returned HTTP 401 for https://registry.example/greet/-/greet-1.0.0.tgz
        //   failed to get successful HTTP response from `https://registry.example/index/gr/ee/greet`, got 401
        // authentication failed for http://registry.example/acme/greeting/1.0/greeting-1.0.pom, status: 401 Unauthorized
        // from/to company (http://registry.example): HTTP Status: 401
        told(
            r"401 Error|401 Client Error|401 Unauthorized|HTTP error 401|GET 401 |code E401|Unauthorized - 401|HTTP 401 |\bgot 401|[Ss]tatus(?: code)?: 401|too many authentication attempts",
            "{host} asks for credentials, or refuses those given (401)",
            "mount the registry's credentials: {credentials}",
        ),
        // hint: An index (https://registry.example/simple) returned a 403 Forbidden error. …
        // fatal: unable to access 'https://git.example/greet.git/': The requested URL returned error: 403
        told(
            r"403 Client Error|403 Forbidden|HTTP error 403|GET 403 |code E403|Forbidden - 403|HTTP 403 |returned error: 403|\bgot 403|[Ss]tatus(?: code)?: 403",
            "{host} refuses access (403)",
            "check the registry's credentials and what they allow, and the name: some registries answer so for a package that they do not have, and some proxies for a host that they bar (see NO_PROXY)",
        ),
        //   cause: HTTP status client error (429 Too Many Requests) for url (…)
        //   cause: HTTP status server error (503 Service Unavailable) for url (…)
        // Could not fetch URL https://registry.example/simple/six/: 429 Client Error: Too Many Requests for url: …
        // Could not fetch URL …: Max retries exceeded with url: /simple/six/ (Caused by ResponseError('too many 503 error responses'))
        // ERROR: HTTP error 503 while getting https://registry.example/packages/…
        // npm error 503 Service Unavailable - GET https://registry.example/greet
        //  ERR_PNPM_FETCH_503  GET https://registry.example/greet: Service Unavailable - 503
        told(
            r"429 Client Error|429 Too Many Requests|HTTP error 429|Too Many Requests - 429|HTTP 429 |code E429|returned error: 429|\bgot 429|[Ss]tatus(?: code)?: 429",
            "{host} gets too many requests (429)",
            "try again later, or use a mirror that has no such limit",
        ),
        told(
            r"too many (\d+) error responses|(?:HTTP|returned|got) (?:error:? )?(5\d\d)|\b(5\d\d) (?:Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out|Server Error)|FETCH_(5\d\d)|code E(5\d\d)|[Ss]tatus(?: code)?: (5\d\d)",
            "{host} is in trouble ({status})",
            "the registry is overloaded or down: try again later",
        ),
        // npm error invalid json response body at https://registry.example/greet reason: Unexpected token '<', …
        //  ERR_PNPM_BROKEN_METADATA_JSON  Unexpected token '<', "<!DOCTYPE "... is not valid JSON
        // invalid response from proxy "https://registry.example": invalid character '<' looking for beginning of value
        //   config.json not found in registry
        //   expected value at line 1 column 1
        told(
            r"invalid json response body|ERR_PNPM_BROKEN_METADATA_JSON|Failed to decode metadata|invalid response from proxy|config\.json not found in registry|expected (?:value|ident) at line 1 column",
            "{host} does not answer as a registry does",
            "check the registry's URL, HTTPS_PROXY and NO_PROXY: a proxy or a sign-in page may have answered",
        ),
        // Failed to establish a new connection: [Errno 111] Connection refused
        // npm error FetchError: request to http://127.0.0.1:8/greet failed, reason: connect ECONNREFUSED 127.0.0.1:8
        // dial tcp 127.0.0.1:8: connect: connection refused
        told(
            r"[Cc]onnection refused|ECONNREFUSED|Connection to \S+ refused: .*ConnectException: ClosedChannelException",
            "{host} refuses connections",
            "check the registry's URL, and HTTPS_PROXY or NO_PROXY if there is a proxy",
        ),
        // ConnectionResetError(104, 'Connection reset by peer')
        // ERROR: Wheel 'six' located at <scratch>/tmp/pip-unpack-x/six-1.0-py3-none-any.whl is invalid.
        // npm error network request to https://registry.example/greet failed, reason: socket hang up
        //   ╰─▶ end of file before message length reached
        // read "https://registry.example/greet/@v/v1.0.0.zip": unexpected EOF
        //   [52] Server returned nothing (no headers, no data) (Empty reply from server)
        //   [18] Transferred a partial file (end of response with 99900 bytes missing)
        // Get "https://registry.example/greet/@v/v1.0.0.mod": EOF
        // Premature end of Content-Length delimited message body (expected: 160; received: 20)
        // registry.example failed to respond
        // HTTP/1.1 header parser received no bytes
        told(
            r#"(?m)Wheel '[^']+' located at \S+ is invalid|[Cc]onnection reset by peer|RemoteDisconnected|Connection aborted|IncompleteRead|connection closed before|ECONNRESET|UND_ERR_SOCKET|end of file before message length|[Pp]remature (?:close|end of )|failed to respond|header parser received no bytes|fixed content-length: |Connection reset|terminated the handshake|unexpected EOF|": EOF$|Empty reply from server|Transferred a partial file|Recv failure"#,
            "the connection to {host} was cut",
            "try again; a proxy or firewall may have closed it",
        ),
        // ConnectTimeoutError(<…>, 'Connection to registry.example timed out. (connect timeout=15)')
        // npm error network timeout at: https://registry.example/greet
        // [ERR_PNPM_META_FETCH_FAIL] GET https://registry.example/greet: fetch failed
        // dial tcp 10.0.0.1:443: i/o timeout
        //   [7] Could not connect to server (Failed to connect to registry.example port 443 after 0 ms: …)
        //   [28] Timeout was reached (Operation too slow. Less than 10 bytes/sec transferred the last 30 seconds)
        told(
            r"timed out|[Nn]etwork is unreachable|[Nn]o route to host|i/o timeout|handshake timeout|fatal: unable to access .*Failed to connect to|network timeout|Socket timeout|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_PNPM_META_FETCH_FAIL|Could not connect to server|Timeout was reached",
            "{host} cannot be reached",
            "check egress (network policy, a mesh's sidecar), HTTPS_PROXY and the registry's URL",
        ),
    ]
});
