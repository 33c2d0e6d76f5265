// The exit codes for errors of models.

import ModelFiles
import Terminal

extension ExitStatus {
    /// The status for an error of a model's name; nil for any other error.
    package init?(modelError error: any Error) {
        guard error is ModelLookupError else { return nil }
        self = .notFound
    }
}
