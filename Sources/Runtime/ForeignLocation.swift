// Where a path is wanted, texts that name a place elsewhere: taken as paths, they would make folders called `s3:`.

/// A URL in the place of a path. It is never shown whole, since it may have a password in it.
public struct ForeignLocation: Error, Hashable, CustomStringConvertible {
    /// What kind of place it is, e.g. `s3`; in small letters.
    public let scheme: String

    /// Reads a text; nil if it is a path.
    public init?(_ text: String) {
        let scheme = text.prefix { $0 != ":" }
        guard text.dropFirst(scheme.count).hasPrefix("://") else { return nil }
        // RFC 3986, 3.1
        let isScheme =
            scheme.first?.isLetter == true
            && scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
        guard isScheme else { return nil }
        self.scheme = scheme.lowercased()
    }

    /// What is wrong with it, and what to write.
    public var description: String {
        let remedy =
            switch scheme {
            case "file", "sqlite", "sqlite3": "give the path itself, without \(scheme)://"
            case "postgres", "postgresql":
                "a queue in PostgreSQL is named with --db, or as db: in the configuration"
            case "http", "https":
                "a queue behind a server is named with --server, and files are fetched first: curl … | ttbatch enqueue -"
            default: "copy to or from there with another program, and give a path of this machine"
            }
        return "\(scheme)://… is no path: \(remedy)"
    }
}
