// Salted hashes of keys, by crypt(3): SHA-256, a method of glibc and libxcrypt. A key has 160 random bits, so that the fewest
// rounds are enough; a person's password would need more.

import CCrypt
import Glibc
package import Runtime
package import StoreContract

extension ServerKey {
    /// A new key; only its holder keeps `text`.
    package init(_ text: KeyText, name: String, tenant: Tenant, scopes: Set<KeyScope>, at now: Milliseconds) {
        let characters = Array("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        var random = SystemRandomNumberGenerator()
        let salt = String((0..<16).map { _ in characters.randomElement(using: &random)! })
        guard let hash = keyHash(text, setting: "$5$rounds=1000$\(salt)$") else {
            fatalError("libcrypt has no SHA-256")
        }
        self.init(name: name, publicID: text.publicID, tenant: tenant, scopes: scopes, hash: hash, created: now)
    }

    /// Whether `text` is this key's. It takes about a millisecond.
    package func isKey(_ text: KeyText) -> Bool {
        keyHash(text, setting: hash).map { isEqualInConstantTime($0, hash) } ?? false
    }

    /// A key that nobody has: who asks with an unknown key waits for the check of this one, as long as for a known one.
    package static let nobodys = ServerKey(
        KeyText(), name: "nobody", tenant: Tenant(rawValue: "nobody"), scopes: [.metrics], at: 0)
}

/// The hash with the method and salt of `setting`; nil if the library does not know the method.
private func keyHash(_ text: KeyText, setting: String) -> String? {
    guard let hash = ccrypt_hash(text.text, setting) else { return nil }
    defer { free(hash) }
    return String(cString: hash)
}
