// The page's style and script: their addresses change with their content, so browsers may keep them.

import Hummingbird

/// A file of the page.
struct PageFile: Sendable {
    /// `/page.css`.
    let name: String
    /// The address with a hash of the content.
    let path: String
    private let type: String
    private let bytes: [UInt8]

    static let style = PageFile("/page.css", "text/css; charset=utf-8", PackageResources.page_css)
    static let script = PageFile("/page.js", "text/javascript; charset=utf-8", PackageResources.page_js)

    private init(_ name: String, _ type: String, _ bytes: [UInt8]) {
        self.name = name
        self.type = type
        self.bytes = bytes
        // FNV-1a.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        path = "\(name)?\(String(hash, radix: 16))"
    }

    /// Its content, to be kept for a year.
    var response: Response {
        Response(
            status: .ok,
            headers: [
                .contentType: type, .cacheControl: "public, max-age=31536000, immutable",
                .xContentTypeOptions: "nosniff",
            ],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
