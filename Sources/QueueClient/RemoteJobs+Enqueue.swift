// Sends prompt files to a server as they are, packed or not, and tells what it says of them.

import Foundation
public import Intake
import PromptFiles
import StoreContract

extension RemoteJobs {
    /// Stores all files or none, like `Enqueuer.enqueue`.
    ///
    /// - Parameters:
    ///   - order: its files are paths of this machine; `-` is standard input.
    ///   - report: called with every error that the server told on the way.
    /// - Throws: `PromptFileError` if a file cannot be read here, `ToldError` if the server refuses one, `JobStoreError`.
    public func enqueue(_ order: EnqueueOrder, report: (any Error) -> Void) throws -> [EnqueueReport] {
        // Known before the files are sent, if another has the name.
        if let name = order.name, let batch = try batch(named: name) {
            guard order.ifNotExists else { throw JobStoreError.nameTaken(name, by: batch) }
            return [.existing(batch)]
        }
        let upload = try Upload(paths: order.files)
        var order = order
        order.files = upload.names
        let answer: HTTPAnswer
        do throws(NoAnswer) {
            answer = try connection.send(
                .post, Self.path("batches", order.fields.map { ($0.name, $0.value) }), headers: [upload.contentType],
                body: { upload.read(into: $0) }, length: upload.length, stallSeconds: 300)
        } catch {
            if let failure = upload.failure { throw failure }
            throw failure(
                error,
                lost: "whether the files were stored is not known: look with `ttbatch list`, "
                    + "or give a --name and --if-not-exists, with which an enqueue can be repeated")
        }
        let end: EnqueueAnswer
        if answer.status == 200 {
            end = try value(of: answer)
        } else {
            guard let told = (try? QueueJSON.value(ServerFault.self, of: answer.body))?.enqueue else {
                throw fault(of: answer)
            }
            end = told
        }
        end.told.forEach(report)
        if let failure = end.failure { throw failure }
        return end.stored
    }
}

/// The bytes of files on their way: one file of known length as it is, else in frames.
private final class Upload {
    /// The names of the files in messages.
    let names: [String]
    /// The number of bytes; nil: nobody knows.
    let length: Int64?
    /// Why reading ended early.
    private(set) var failure: PromptFileError?
    private var files: ArraySlice<Int32>
    private let all: [Int32]

    /// Opens all files.
    init(paths: [String]) throws(PromptFileError) {
        var (opened, names): ([Int32], [String]) = ([], [])
        for path in paths {
            let descriptor = path == "-" ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                let reason = String(cString: strerror(errno))
                for descriptor in opened { close(descriptor) }
                throw .cannotOpen(path: path, reason: reason)
            }
            opened.append(descriptor)
            names.append(path == "-" ? PromptFileReader.standardInputName : path)
        }
        self.names = names
        all = opened
        files = opened[...]
        var status = stat()
        let isKnown = opened.count == 1 && fstat(opened[0], &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        // Standard input may have been read in part.
        length = isKnown ? max(0, Int64(status.st_size) - Int64(lseek(opened[0], 0, SEEK_CUR))) : nil
    }

    deinit { for file in all { close(file) } }

    var contentType: String {
        "Content-Type: " + (length == nil ? FileFrames.contentType : "application/octet-stream")
    }

    func read(into output: UnsafeMutableRawBufferPointer) -> Int? {
        guard length == nil else { return bytes(of: all[0], into: output) }
        guard let file = files.first else { return 0 }
        let room = UnsafeMutableRawBufferPointer(rebasing: output[FileFrames.headerLength...])
        guard let count = bytes(of: file, into: room) else { return nil }
        if count == 0 { files.removeFirst() }
        output.copyBytes(from: FileFrames.header(count))
        return FileFrames.headerLength + count
    }

    private func bytes(of file: Int32, into output: UnsafeMutableRawBufferPointer) -> Int? {
        while true {
            let count = Glibc.read(file, output.baseAddress, output.count)
            if count >= 0 { return count }
            if errno == EINTR { continue }
            let name = names[all.firstIndex(of: file) ?? 0]
            failure = .cannotRead(path: name, line: 0, reason: String(cString: strerror(errno)))
            return nil
        }
    }
}
