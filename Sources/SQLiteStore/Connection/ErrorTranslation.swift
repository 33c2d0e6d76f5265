// From what SQLite and the operating system say to what a person can act on.

import CSQLiteShim
import GRDB
import Glibc
import StoreContract

extension JobStoreError {
    /// Translates an error caught around database work at `path`. `connection` tells the errno behind an I/O error.
    init(_ error: any Error, path: String, connection: Database? = nil) {
        switch error {
        case let error as JobStoreError:
            self = error
        case let error as DatabaseError:
            let systemErrno = connection?.sqliteConnection.map { csqlite_system_errno($0) } ?? 0
            self.init(error, path: path, systemErrno: systemErrno)
        default:
            self = .database(path: path, code: -1, reason: "\(error)")
        }
    }

    private init(_ error: DatabaseError, path: String, systemErrno: Int32) {
        let reason = error.message ?? "no further message"
        switch error.resultCode {
        case .SQLITE_FULL:
            self = .diskFull(path: path)
        case .SQLITE_IOERR where systemErrno == ENOSPC || systemErrno == EDQUOT:
            self = .diskFull(path: path)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self = .busy(path: path)
        case .SQLITE_NOTADB:
            self = .notAJobStore(path: path, reason: "not an SQLite file")
        case .SQLITE_READONLY where access(path, W_OK) != 0:
            self = .system("write", path)
        case .SQLITE_CORRUPT:
            self = .corrupt(path: path, reason: reason)
        default:
            self = .database(path: path, code: error.extendedResultCode.rawValue, reason: reason)
        }
    }

    /// The operating system's refusal, as errno tells it.
    static func system(_ operation: String, _ path: String, errno code: Int32 = errno) -> JobStoreError {
        code == ENOSPC || code == EDQUOT
            ? .diskFull(path: path)
            : .system(operation: operation, path: path, errno: code, reason: String(cString: strerror(code)))
    }
}
