// An input as a file, for parsers that map files.

private import Glibc
private import TestSupport

/// A file in a folder of its own, which takes one input after the other.
package final class InputFile: Sendable {
    private let folder: TemporaryFolder
    /// Its path.
    package let path: String

    /// A file called `name`, in memory if the system has such a folder.
    package init(_ name: String) {
        let memory = "/dev/shm"
        folder = try! access(memory, W_OK) == 0 ? TemporaryFolder(in: memory) : TemporaryFolder()
        path = folder.file(name)
    }

    /// The folder's path.
    package var folderPath: String { folder.path }

    /// Puts a new file with `bytes` in its place, so that who has mapped the one before goes on with it.
    package func write(_ bytes: UnsafeRawBufferPointer) {
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        precondition(descriptor >= 0, "\(path) cannot be written")
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
            precondition(count > 0, "\(path) cannot be written")
            written += count
        }
        close(descriptor)
    }
}
