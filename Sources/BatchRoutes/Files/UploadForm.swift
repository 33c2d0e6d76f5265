// The fields of an upload as they come.

import HTTPExchange
import Runtime
import StoreContract

/// What has come of `POST /v1/files`. Its methods block.
struct UploadForm: Sendable {
    private var field: String?
    private var texts: [String: [UInt8]] = [:]
    private var filename = ""
    private var upload: Upload?
    private static let mostTextBytes = 4 << 10
    private static let fields = ["purpose", "expires_after[anchor]", "expires_after[seconds]"]

    mutating func take(_ event: MultipartEvent, _ folder: UploadFolder) throws {
        switch event {
        case .part(let name, let filename): try begin(name, filename, folder)
        case .bytes(let bytes):
            if field == "file" {
                try upload?.write(Array(bytes))
            } else if let field {
                guard texts[field, default: []].count + bytes.count <= Self.mostTextBytes else {
                    throw APIError.invalid("the field is too long", param: field)
                }
                texts[field]! += bytes
            }
        case .end: break
        }
    }

    private mutating func begin(_ name: String, _ filename: String?, _ folder: UploadFolder) throws {
        field = name
        if name == "file" {
            guard upload == nil else {
                throw APIError.invalid("there are two files; upload one at a time", param: "file")
            }
            guard let filename else {
                throw APIError.invalid("the part \"file\" has no filename, so it is no file", param: "file")
            }
            self.filename = Self.shown(filename)
            upload = try folder.begin(.random())
        } else {
            guard Self.fields.contains(name) else {
                throw APIError.invalid(
                    "\(APIError.quoted(name)) is no field of an upload: give file, purpose and expires_after",
                    param: String(name.prefix(80)), code: "unknown_field")
            }
            guard texts[name] == nil else { throw APIError.invalid("the field is given twice", param: name) }
            texts[name] = []
        }
    }

    /// The client's name as a text for people: it is never a path here.
    private static func shown(_ name: String) -> String {
        let last = name.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last ?? ""
        let scalars = last.unicodeScalars.filter { $0.properties.generalCategory != .control }
        var text = String(String.UnicodeScalarView(scalars))
        while text.utf8.count > 255 { text.removeLast() }
        return text
    }

    /// The uploaded file, whose contents are not kept yet.
    func finish(of tenant: Tenant?, at now: Milliseconds) throws -> (Upload, UploadedFile) {
        guard let upload else { throw APIError.invalid("there is no file in the form", param: "file") }
        func text(_ field: String) -> String? { texts[field].map { String(decoding: $0, as: UTF8.self) } }
        guard let purpose = text("purpose") else { throw APIError.invalid("purpose is missing", param: "purpose") }
        guard purpose == "batch" else {
            throw APIError.invalid(
                "\(APIError.quoted(purpose)) is no purpose of files here: give batch", param: "purpose",
                code: "invalid_purpose")
        }
        guard Self.endings.contains(where: { filename.lowercased().hasSuffix($0) }) else {
            throw APIError.invalid(
                "Invalid file format for Batch API. Must be .jsonl (also packed, .jsonl.gz or .jsonl.zst)",
                param: "file")
        }
        guard upload.bytes > 0 else { throw APIError.invalid("the file is empty", param: "file") }
        let expires = try ExpiresAfter.parse(
            anchor: text("expires_after[anchor]"), seconds: text("expires_after[seconds]").map { Int64($0) ?? 0 },
            field: "expires_after")
        let lifetime = (expires?.seconds ?? 30 * 86_400) * 1000
        return (
            upload,
            UploadedFile(
                id: upload.file, tenant: tenant, name: filename, purpose: purpose, bytes: upload.bytes, created: now,
                expires: now + lifetime)
        )
    }

    private static let endings = [".jsonl", ".jsonl.gz", ".jsonl.zst"]
}

/// How long a file is kept.
struct ExpiresAfter: Hashable, Sendable {
    let seconds: Int64

    /// The value of a field; nil if neither is given.
    static func parse(anchor: String?, seconds: Int64?, field: String) throws(APIError) -> ExpiresAfter? {
        if anchor == nil, seconds == nil { return nil }
        guard anchor == "created_at" else {
            throw .invalid("the anchor must be created_at", param: "\(field).anchor")
        }
        guard let seconds, (3600...2_592_000).contains(seconds) else {
            throw .invalid("seconds must be from 3600 (an hour) to 2592000 (30 days)", param: "\(field).seconds")
        }
        return ExpiresAfter(seconds: seconds)
    }
}
