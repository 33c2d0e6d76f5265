// `POST /ttbatch/v1/batches`: the files of the body are stored as they come, with the memory of a few pieces.

import Foundation
import HTTPExchange
import Hummingbird
import Intake
import OpenAIFormats
import PromptFiles
import ResultExport
import ServiceLifecycle
import Settings
import StoreContract

/// Stores files that callers send.
struct EnqueueRoute: Sendable {
    let store: any JobStore
    let configuration: Configuration
    /// An enqueue keeps one of them busy until its last line; further ones wait, and hold up their callers.
    private let threads = BlockingThreads(count: 2)

    init(store: any JobStore, configuration: Configuration) {
        self.store = store
        self.configuration = configuration
    }

    func answer(_ request: Request, _ caller: Caller) async throws -> Response {
        let order: EnqueueOrder
        do throws(InvalidOrder) {
            order = try EnqueueOrder(
                fields: request.uri.queryParameters.map { (name: String($0.key), value: String($0.value)) })
        } catch {
            throw APIError.invalid(error.description, param: error.field)
        }
        let form = try BodyForm(request, files: order.files.count)
        let files = UploadedFiles()
        let (end, failure) = try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: APIError?.self) { group in
                // Whoever goes away, or a server that stops, leaves nothing behind.
                group.addTask {
                    do { try await form.feed(request.body, to: files) } catch {
                        files.fail()
                        return error as? APIError
                    }
                    return nil
                }
                let end = try await threads.run {
                    // Whatever it ends with, the rest of the body is dropped.
                    defer { files.abandon() }
                    return try enqueue(order, files, of: caller.tenant)
                }
                // Callers stop sending when they get an error.
                if files.isCutShort || end.failure != nil { group.cancelAll() }
                return (end, try await group.next() ?? nil)
            }
        } onGracefulShutdown: {
            files.fail()
        }
        // What was stored before the server stopped is stored.
        guard !end.stored.isEmpty || !files.isCutShort else {
            throw failure ?? .unavailable("the upload broke off, or the server stops; nothing was stored")
        }
        return try response(end)
    }

    private func enqueue(
        _ order: EnqueueOrder, _ files: UploadedFiles, of tenant: Tenant?
    ) throws -> EnqueueAnswer {
        var options = try Enqueuer.Options(order, defaultModel: configuration.model)
        options.engine = configuration.engine
        options.tenant = tenant
        if let tenant, let name = options.name, let other = try store.batch(named: name),
            try store.batch(other).tenant != tenant
        {
            // Not even its id is the caller's to know.
            throw APIError.conflict(
                "the name \(APIError.quoted(name)) is taken; choose another one", code: "name_taken")
        }
        _ = try store.sweepOrphanedDrafts()
        let enqueuer = Enqueuer(store: store, catalogue: configuration.clientCatalogue, options: options)
        let sources = order.files.enumerated().map { number, name in
            PromptSource.bytes({ (output) throws(InputFailure) in try files.read(number, into: output) }, name: name)
        }
        var answer = EnqueueAnswer()
        do {
            answer.stored = try enqueuer.enqueue(sources) { answer.told.append(ToldError(shown: $0)) }
        } catch let error as JobStoreError {
            throw error
        } catch {
            answer.failure = ToldError(shown: error)
        }
        return answer
    }

    private func response(_ answer: EnqueueAnswer) throws -> Response {
        guard let failure = answer.failure else { return Response(json: Array(try QueueJSON.text(answer))) }
        let status: HTTPResponse.Status =
            switch failure.fault {
            case .notFound: .notFound
            case .input: .badRequest
            case nil: .internalServerError
            }
        let words = ServerFault.Words(message: failure.description, type: "invalid_request_error")
        return Response(json: Array(try QueueJSON.text(ServerFault(words, enqueue: answer))), status: status)
    }
}

/// How the body holds the files.
private enum BodyForm {
    /// One file as it is; its length in bytes shows whether all of it came.
    case plain(length: Int)
    case frames(files: Int)

    init(_ request: Request, files: Int) throws(APIError) {
        if request.headers[.contentType] == FileFrames.contentType {
            self = .frames(files: files)
        } else if let length = request.headers[.contentLength].flatMap({ Int($0) }) {
            guard files == 1 else { throw .invalid("several files come as \(FileFrames.contentType)", param: "file") }
            self = .plain(length: length)
        } else {
            throw APIError(
                status: .lengthRequired, type: "invalid_request_error",
                message: "without a Content-Length nobody can tell whether all of the file has come")
        }
    }

    /// Gives the body to the reader.
    ///
    /// - Throws: `APIError` where all of it came and is not what its sender said, or where that was refused; other errors
    ///   where it broke off.
    func feed(_ body: Hummingbird.RequestBody, to files: UploadedFiles) async throws {
        switch self {
        case .plain(let length):
            var count = 0
            for try await bytes in body {
                count += bytes.readableBytes
                await files.write(bytes)
            }
            guard count == length else { throw CancellationError() }
            files.endFile()
        case .frames(let expected):
            var (frames, ended) = (FileFrames.Reader(), 0)
            for try await var bytes in body {
                while bytes.readableBytes > 0 {
                    let (skipped, part) = frames.next(bytes.readableBytesView)
                    bytes.moveReaderIndex(forwardBy: skipped)
                    switch part {
                    case .bytes(let count): if let piece = bytes.readSlice(length: count) { await files.write(piece) }
                    case .endOfFile:
                        files.endFile()
                        ended += 1
                    case nil: break
                    }
                }
            }
            guard ended == expected else {
                throw APIError.invalid(
                    "the body ends within the files of the query; nothing was stored", param: "file")
            }
        }
    }
}

extension ToldError {
    /// Tells an error without the paths of the server. Those of files are the caller's own.
    fileprivate init(shown error: any Error) {
        switch error {
        case let line as LineError: self.init(error, text: line.shown.description)
        case EnqueueError.unknownModel(let line): self.init(error, text: line.shown.description)
        case EnqueueError.unknownTarget: self.init(error, text: "\(error)".withoutPaths)
        case is EnqueueError, is PromptFileError: self.init(error)
        default: self.init(error, text: "\(error)".withoutPaths)
        }
    }
}

extension LineError {
    /// The error without what a problem with a model tells of the server's folders.
    fileprivate var shown: LineError {
        guard problem.code == .modelNotFound || problem.code == .modelMismatch else { return self }
        var line = self
        line.problem.complaint = problem.complaint.withoutPaths
        line.problem.remedy = problem.remedy?.withoutPaths
        return line
    }
}
