// README's transcripts are what the program prints, but for times and rates.

import Foundation
import TestSupport
import Testing

@Suite("README", .enabled(if: Locations.realModel != nil))
struct ReadmeTests {
    @Test func transcriptsAreUpToDate() throws {
        let workspace = try Workspace()
        let outcome = try RunningProgram(
            [Locations.repository.appending(path: "etc/readme-transcripts").path, "--check"], program: "python3",
            environment: [
                "PATH": "/usr/bin:/bin", "HOME": workspace.directory.path, "SWIFT_BACKTRACE": "enable=no",
                "TTBATCH_TEST_BINARY": Locations.program.path, "TTBATCH_TEST_MODEL": Locations.realModel ?? "",
            ], in: workspace.directory
        ).waitForEnd()
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
    }
}
