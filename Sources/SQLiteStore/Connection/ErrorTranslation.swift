// Turns errors of SQLite and of the operating system into messages that a person can act on.

import CSQLiteShim
import GRDB
import Glibc
import StoreContract

extension JobStoreError {
    /// Translates an error of database work at `path`. `connection` gives the errno behind an I/O error.
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

    /// The error of a failed system call, with errno's text.
    static func system(_ operation: String, _ path: String, errno code: Int32 = errno) -> JobStoreError {
        code == ENOSPC || code == EDQUOT
            ? .diskFull(path: path)
            : .system(operation: operation, path: path, errno: code, reason: String(cString: strerror(code)))
    }
}
