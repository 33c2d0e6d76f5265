// Seeds of jobs that give none.

import Testing

@testable import BatchDaemon

@Suite struct JobSeedTests {
    /// Computed by another FNV-1a (Python's `fnvhash` formula over the id and eight bytes of the line): results of
    /// earlier versions must come again.
    @Test(arguments: [
        ("a", Int64(1), UInt64(0xdedf9f982e43402d)), ("request-7", 12, UInt64(0xe782ef43a72cc62)),
        ("é", 1 << 40, UInt64(0xdc846da49acf2976)),
    ])
    func seedsNeverChange(customID: String, line: Int64, seed: UInt64) {
        #expect(JobSeed.derived(customID: customID, line: line) == seed)
    }

    @Test func linesAndNamesHaveSeedsOfTheirOwn() {
        var seeds: Set<UInt64> = []
        for line in Int64(1)...100 {
            for name in ["", "a", "b", "ab"] { seeds.insert(JobSeed.derived(customID: name, line: line)) }
        }
        #expect(seeds.count == 400)
    }
}
