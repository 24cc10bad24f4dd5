// Makes the trust store of Maven's JVM, which reads no PEM: java -cp CLASSES injector.maven.Trust STORE alone|beside
//
//     INJECTOR_JAVA_ROOTS  a bundle of certificates (PEM): with `alone`, these are trusted and no others
//     INJECTOR_JAVA_CA     with `beside`, these are trusted beside those that this JVM trusts anyway
//
// The store is PKCS #12. Its password, `changeit` as with the JVM's own, keeps no secret: certificates are public.

package injector.maven;

import java.io.ByteArrayInputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** Writes a trust store. */
public final class Trust {
    /** Java's own reader of bundles takes no words after the last block, and no block of another kind. */
    private static final Pattern BLOCK = Pattern.compile("-----BEGIN (?:X509 )?CERTIFICATE-----[^-]+-----END[^\\n]+-----");

    public static void main(String[] args) throws Exception {
        List<Certificate> trusted = new ArrayList<>();
        boolean alone = args[1].equals("alone");
        if (!alone) {
            TrustManagerFactory own = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            own.init((KeyStore) null);
            for (TrustManager manager : own.getTrustManagers()) {
                trusted.addAll(List.of(((X509TrustManager) manager).getAcceptedIssuers()));
            }
        }
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        Path bundle = Path.of(System.getenv(alone ? "INJECTOR_JAVA_ROOTS" : "INJECTOR_JAVA_CA"));
        Matcher blocks = BLOCK.matcher(Files.readString(bundle, StandardCharsets.ISO_8859_1));
        while (blocks.find()) {
            byte[] block = blocks.group().getBytes(StandardCharsets.ISO_8859_1);
            trusted.add(factory.generateCertificate(new ByteArrayInputStream(block)));
        }
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        for (Certificate certificate : trusted) {
            store.setCertificateEntry(String.valueOf(store.size()), certificate);
        }
        try (OutputStream out = Files.newOutputStream(Path.of(args[0]))) {
            store.store(out, "changeit".toCharArray());
        }
        System.out.println("[INFO] " + store.size() + " certificates are trusted");
    }
}
