// The bytes of files on their way from a connection to the thread that stores them.

import Glibc
import NIOCore
import PromptFiles
import Runtime

/// Files that come one after another. The connection writes and is held up while enough has not been read; a thread reads and
/// blocks.
final class UploadedFiles: @unchecked Sendable {
    /// The bytes that may wait for the reader.
    private static let most = 4 << 20

    private enum Item {
        case bytes(ByteBuffer)
        case endOfFile
    }

    // All below is only accessed while the lock is held.
    private let lock = WaitingLock()
    private var items = CircularBuffer<Item>()
    private var waiting = 0
    /// The number of the file that the first item belongs to.
    private var file = 0
    private var hasFailed = false
    private var isAbandoned = false
    private var writer: CheckedContinuation<Void, Never>?

    /// Gives the reader bytes of the present file; returns when there is room for more.
    func write(_ bytes: ByteBuffer) async {
        let isFull = lock.change {
            if isAbandoned || hasFailed { return false }
            items.append(.bytes(bytes))
            waiting += bytes.readableBytes
            return waiting >= Self.most
        }
        guard isFull else { return }
        await withCheckedContinuation { continuation in
            let goesOn = lock.withLock {
                if waiting < Self.most || isAbandoned || hasFailed { return true }
                writer = continuation
                return false
            }
            if goesOn { continuation.resume() }
        }
    }

    /// The present file is complete; the next begins.
    func endFile() { lock.change { items.append(.endOfFile) } }

    /// The upload broke off: whatever is read from now on is an error.
    func fail() { end { if !isAbandoned { hasFailed = true } } }

    /// Whether it broke off before anybody had read it.
    var isCutShort: Bool { lock.withLock { hasFailed } }

    /// Nobody reads any more; what comes is dropped.
    func abandon() { end { isAbandoned = true } }

    private func end(_ mark: () -> Void) {
        let writer = lock.change {
            mark()
            items.removeAll()
            waiting = 0
            defer { self.writer = nil }
            return self.writer
        }
        writer?.resume()
    }

    /// The next bytes of a file; earlier files are skipped.
    func read(_ number: Int, into output: UnsafeMutableRawBufferPointer) throws(InputFailure) -> Int {
        var count = 0
        let isWhole = lock.wait(until: { hasFailed || isReady(number) }) {
            guard !hasFailed else { return false }
            if file == number, case .bytes(var bytes) = items.first {
                items.removeFirst()
                count = min(bytes.readableBytes, output.count)
                bytes.readWithUnsafeReadableBytes { source in
                    output.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
                    return count
                }
                waiting -= count
                if bytes.readableBytes > 0 { items.prepend(.bytes(bytes)) }
            }
            makeRoom()
            return true
        }
        guard isWhole else { throw InputFailure(errno: ECONNRESET) }
        return count
    }

    /// Whether bytes or the end of a file have come. What remains of earlier files is dropped.
    private func isReady(_ number: Int) -> Bool {
        while let first = items.first {
            switch first {
            case .endOfFile where file < number: file += 1
            case .bytes(let bytes) where file < number: waiting -= bytes.readableBytes
            case .bytes(let bytes) where bytes.readableBytes == 0: break
            default: return true
            }
            items.removeFirst()
        }
        makeRoom()
        return false
    }

    /// Lets the connection go on if enough has been read.
    private func makeRoom() {
        guard waiting < Self.most / 2, let writer else { return }
        self.writer = nil
        writer.resume()
    }
}
