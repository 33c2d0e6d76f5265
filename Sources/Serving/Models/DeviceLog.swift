// Writes a device's messages to the program's log.

import Logging
import Platform

extension Logger {
    /// A log for a replica's device, which keeps the levels of its lines.
    func deviceLog(of replica: Replica) -> DeviceLog {
        { [self] level, line in
            let text: Logger.Message = "\(replica.prefix)device: \(line)"
            switch level {
            case .debug: debug(text)
            case .info: info(text)
            case .warning: warning(text)
            case .error: error(text)
            }
        }
    }
}
