// `/v1/files`: uploads, and the results of batches as files.

import Foundation
package import HTTPExchange
package import Hummingbird
import JSONText
import Runtime
package import StoreContract

/// Uploads, lists, reads and deletes files.
package struct UploadRoutes: Sendable {
    private let store: any ServedStore
    private let folder: UploadFolder
    private let threads: BlockingThreads
    private let memory: ResultFileMemory

    /// Routes to the files of `store`, whose contents lie in `folder`.
    package init(
        store: any ServedStore, folder: UploadFolder, threads: BlockingThreads, memory: ResultFileMemory
    ) {
        self.store = store
        self.folder = folder
        self.threads = threads
        self.memory = memory
    }

    package func add(to router: Router<ServerContext>) {
        router.post("/v1/files") { request, context in
            try context.caller.require(.submit)
            return try await upload(request, context.caller)
        }
        router.get("/v1/files") { request, context in
            try context.caller.require(.read)
            let query = try FileQuery(request.uri.queryParameters)
            return try await threads.run { try Response(json: list(query, context.caller)) }
        }
        router.get("/v1/files/:file") { _, context in
            try context.caller.require(.read)
            let id = context.parameters.get("file") ?? ""
            let object = try await threads.run {
                switch try file(id, context.caller) {
                case .uploaded(let file): FileObject(file)
                case .results(let kind, let batch):
                    FileObject(
                        kind, of: batch, bytes: try memory.bytes(of: kind, batch, store), now: TimeSource.system.now)
                }
            }
            guard let object else { throw noFile(id) }
            return Response(json: Array(object.json.text.utf8))
        }
        router.delete("/v1/files/:file") { _, context in
            try context.caller.require(.submit)
            let id = context.parameters.get("file") ?? ""
            try await threads.run { try delete(id, context.caller) }
            let answer: JSONValue = ["id": .string(id), "object": "file", "deleted": true]
            return Response(json: Array(answer.text.utf8))
        }
        router.get("/v1/files/:file/content") { request, context in
            try context.caller.require(.read)
            let id = context.parameters.get("file") ?? ""
            return try await content(request, of: id, context.caller)
        }
    }

    // MARK: - Upload

    private func upload(_ request: Request, _ caller: Caller) async throws -> Response {
        var reader: MultipartReader
        do throws(MultipartError) {
            reader = try MultipartReader(contentType: request.headers[.contentType] ?? "")
        } catch {
            throw APIError.invalid("\(error)", code: "invalid_multipart")
        }
        // Known beforehand, it is refused before a byte of it is read.
        if let length = request.headers[.contentLength].flatMap({ Int64($0) }) {
            try await threads.run { try answeringUploadErrors { try folder.checkRoom(for: max(0, length - 65536)) } }
        }
        var form = UploadForm()
        for try await buffer in request.body {
            var events: [MultipartEvent] = []
            do { try reader.take(buffer.readableBytesView) { events.append($0) } } catch let error as MultipartError {
                throw APIError.invalid("\(error)", code: "invalid_multipart")
            }
            form = try await threads.run { [form, events] in
                var form = form
                try answeringUploadErrors { for event in events { try form.take(event, folder) } }
                return form
            }
        }
        do throws(MultipartError) { try reader.finish() } catch {
            throw APIError.invalid("\(error)", code: "invalid_multipart")
        }
        let file = try await threads.run { [form] in
            try answeringUploadErrors {
                let (upload, file) = try form.finish(of: caller.tenant, at: TimeSource.system.now)
                // What is acknowledged is durable; contents without a row are swept.
                try upload.keep()
                try store.add(file)
                return file
            }
        }
        return Response(json: Array(FileObject(file).json.text.utf8))
    }

    // MARK: - Reading

    /// A file that the caller sees. Blocks.
    private enum Found { case uploaded(UploadedFile), results(ResultFileKind, BatchSummary) }

    private func file(_ text: String, _ caller: Caller) throws -> Found {
        guard let id = FileID(rawValue: text) else { throw noFile(text) }
        if let file = try store.uploadedFile(id), caller.sees(file.tenant) { return .uploaded(file) }
        guard let (id, kind) = try store.resultFile(id), let batch = try? store.batch(id), caller.sees(batch.tenant),
            batch.servedFile(kind, at: TimeSource.system.now) != nil
        else { throw noFile(text) }
        return .results(kind, batch)
    }

    private func noFile(_ text: String) -> APIError {
        .notFound("there is no file \(APIError.quoted(text))", param: "file_id")
    }

    private func delete(_ text: String, _ caller: Caller) throws {
        switch try file(text, caller) {
        case .results(let kind, let batch): try store.withdrawResultFile(kind, of: batch.id)
        case .uploaded(let file):
            guard try store.deleteFile(file.id) else { throw noFile(text) }
            folder.delete(file.id)
        }
    }

    private func content(_ request: Request, of id: String, _ caller: Caller) async throws -> Response {
        let found = try await threads.run { try file(id, caller) }
        let download: FileContent
        switch found {
        case .uploaded(let file):
            download = .uploaded(folder.contents(of: file.id), bytes: file.bytes)
        case .results(let kind, let batch): download = .results(kind, batch)
        }
        return try await FileDownload(store: store, threads: threads, memory: memory)
            .answer(download, request)
    }

    // MARK: - The list

    private func list(_ query: FileQuery, _ caller: Caller) throws -> [UInt8] {
        var bound: (Milliseconds, FileID)?
        if let after = query.after {
            switch try file(after, caller) {
            case .uploaded(let file): bound = (file.created, file.id)
            case .results(let kind, let batch): bound = batch.files[kind].map { (batch.created, $0) }
            }
        }
        let most = query.limit + 1
        var files: [FileObject] = []
        if query.purpose == nil || query.purpose == "batch" {
            files = try store.uploadedFiles(
                of: caller.tenant, after: bound, newestFirst: query.newestFirst, limit: most
            ).map { FileObject($0) }
        }
        if query.purpose == nil || query.purpose == "batch_output" {
            files += try resultFiles(of: caller, after: bound, query, limit: most)
        }
        files.sort { query.isBefore(($0.created, $0.id), ($1.created, $1.id)) }
        let page = files.prefix(query.limit)
        let answer: JSONValue = [
            "object": "list", "data": .array(page.map(\.json)),
            "first_id": page.first.map { .string($0.id.rawValue) } ?? .null,
            "last_id": page.last.map { .string($0.id.rawValue) } ?? .null, "has_more": .bool(files.count > page.count),
        ]
        return Array(answer.text.utf8)
    }

    /// The files of results behind `bound`.
    private func resultFiles(
        of caller: Caller, after bound: (Milliseconds, FileID)?, _ query: FileQuery, limit: Int
    ) throws -> [FileObject] {
        let now = TimeSource.system.now
        var chosen: [(kind: ResultFileKind, batch: BatchSummary, key: (Milliseconds, FileID))] = []
        var last: BatchID?
        while true {
            let page = try store.batches(before: last, limit: 500, includingDrafts: false, of: caller.tenant)
            guard let oldest = page.last else { break }
            last = oldest.id
            for batch in page {
                for kind in ResultFileKind.allCases {
                    guard let id = batch.servedFile(kind, at: now) else { continue }
                    let key = (batch.created, id)
                    if bound.map({ query.isBefore($0, key) }) ?? true { chosen.append((kind, batch, key)) }
                }
            }
            // Batches come from the newest to the oldest.
            if query.newestFirst, chosen.count >= limit { break }
        }
        chosen.sort { query.isBefore($0.key, $1.key) }
        return try chosen.prefix(limit).compactMap { kind, batch, _ in
            FileObject(kind, of: batch, bytes: try memory.bytes(of: kind, batch, store), now: now)
        }
    }
}

/// The parameters of a list of files.
private struct FileQuery: Sendable {
    var after: String?
    var limit = 10_000
    var newestFirst = true
    var purpose: String?

    init(_ parameters: Parameters) throws(APIError) {
        after = parameters.get("after")
        purpose = parameters.get("purpose")
        if let text = parameters.get("limit") {
            guard let number = Int(text), (1...10_000).contains(number) else {
                throw .invalid("limit \(APIError.quoted(text)) is not from 1 to 10000", param: "limit")
            }
            limit = number
        }
        if let text = parameters.get("order") {
            guard ["asc", "desc"].contains(text) else {
                throw .invalid("order \(APIError.quoted(text)) is neither asc nor desc", param: "order")
            }
            newestFirst = text == "desc"
        }
    }

    func isBefore(_ left: (Milliseconds, FileID), _ right: (Milliseconds, FileID)) -> Bool {
        let (left, right) = ((left.0.rawValue, left.1.rawValue), (right.0.rawValue, right.1.rawValue))
        return newestFirst ? left > right : left < right
    }
}

/// Runs `body`; errors of uploads become answers.
private func answeringUploadErrors<Value>(_ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let error as UploadError {
        switch error {
        case .noSpace:
            throw APIError(
                status: .init(code: 507, reasonPhrase: "Insufficient Storage"), type: "server_error",
                message: "there is not enough room on the server's disk for this file")
        case .tooLarge(let limit):
            throw APIError(
                status: .contentTooLarge, type: "invalid_request_error",
                message: "the file has more than \(limit >> 20) MiB; divide it", param: "file")
        case .system: throw error
        }
    }
}
