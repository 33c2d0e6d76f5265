// What a device has to say, in the daemon's log.

import Logging
import TTPlatform

extension Logger {
    /// A log for a device: its lines with their own level.
    var deviceLog: DeviceLog {
        { [self] level, line in
            switch level {
            case .debug: debug("device: \(line)")
            case .info: info("device: \(line)")
            case .warning: warning("device: \(line)")
            case .error: error("device: \(line)")
            }
        }
    }
}
