// Mapped files that change while they are in use: the change is noticed, and the process never dies.

import Foundation
import ModelFiles
import Testing

@Suite struct MappedFileTests {
    private static let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    private static let pages = 5

    private func withPages(_ body: (String) throws -> Void) throws {
        try withFile(Array(repeating: 7, count: Self.pages * Self.page), body)
    }

    private func cut(_ path: String, to pages: Int) { #expect(truncate(path, pages * Self.page) == 0) }

    @Test(arguments: [0, 1, 3])
    func whatIsCutOffReadsAsZerosAndIsNoticed(left: Int) throws {
        try withPages { path in
            let file = try MappedFile(path: path)
            try withPages { other in
                let another = try MappedFile(path: other)
                cut(path, to: left)
                // From two threads at once, as the kernels read.
                DispatchQueue.concurrentPerform(iterations: 2) { _ in
                    for page in 0..<Self.pages {
                        let byte = file.bytes[page * Self.page + 5]
                        #expect(byte == (page < left ? 7 : 0) || byte == 0)
                    }
                }
                let error = #expect(throws: ModelFileError.self) { try file.checkUnchanged() }
                #expect(error?.description.contains(path) == true && error?.mayPass == true)
                #expect(another.bytes.allSatisfy { $0 == 7 })
                try another.checkUnchanged()
            }
        }
    }

    /// Once a page was lost, no later state of the file makes good what was made of it.
    @Test func aFileThatGrewAgainIsStillLost() throws {
        try withPages { path in
            let file = try MappedFile(path: path)
            let times = try FileManager.default.attributesOfItem(atPath: path)[.modificationDate]!
            cut(path, to: 1)
            #expect(file.bytes[3 * Self.page] == 0)
            cut(path, to: Self.pages)
            try FileManager.default.setAttributes([.modificationDate: times], ofItemAtPath: path)
            #expect(throws: ModelFileError.self) { try file.checkUnchanged() }
            // Opened anew it is another file.
            try MappedFile(path: path).checkUnchanged()
        }
    }

    @Test func writingIntoItIsNoticed() throws {
        try withPages { path in
            let file = try MappedFile(path: path)
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try handle.write(contentsOf: Data([8]))
            try handle.close()
            // A clock may be coarse.
            try FileManager.default.setAttributes([.modificationDate: Date() + 1], ofItemAtPath: path)
            let error = #expect(throws: ModelFileError.self) { try file.checkUnchanged() }
            #expect(error?.description.contains("renaming") == true)
        }
    }

    @Test func aFileThatAnotherWasRenamedOverGoesOn() throws {
        try withPages { path in
            let file = try MappedFile(path: path)
            try withPages { #expect(rename($0, path) == 0) }
            try file.checkUnchanged()
            #expect(file.bytes.allSatisfy { $0 == 7 })
        }
    }

    @Test func aFileThatIsEmptyOrNoneIsRefused() throws {
        try withFile([]) { path in
            #expect(throws: ModelFileError.unreadable(path: path, reason: "the file is empty")) {
                try MappedFile(path: path)
            }
        }
        #expect(throws: ModelFileError.self) { try MappedFile(path: "/dev/null") }
        #expect(throws: ModelFileError.self) { try MappedFile(path: "/nowhere/at/all") }
    }

    /// Other reasons for the signal end the process as they would without the handler.
    @Test func aFaultElsewhereStillEndsTheProcess() async throws {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            let watched = try MappedFile(path: CommandLine.arguments[0])
            try watched.checkUnchanged()
            let file = tmpfile()!
            let size = Int(sysconf(Int32(_SC_PAGESIZE)))
            ftruncate(fileno(file), size)
            let start = mmap(nil, size, PROT_READ, MAP_SHARED, fileno(file), 0)!
            ftruncate(fileno(file), 0)
            exit(Int32(start.load(as: UInt8.self)))
        }
        await #expect(processExitsWith: .signal(SIGBUS)) {
            let watched = try MappedFile(path: CommandLine.arguments[0])
            raise(SIGBUS)
            try watched.checkUnchanged()
        }
    }

    /// Watches end and are used again, in any number.
    @Test func manyFilesComeAndGo() throws {
        try withPages { path in
            for _ in 0..<3 {
                let files = try (0..<50).map { _ in try MappedFile(path: path) }
                for file in files { try file.checkUnchanged() }
            }
            let last = try MappedFile(path: path)
            cut(path, to: 0)
            #expect(last.bytes[0] == 0)
            #expect(throws: ModelFileError.self) { try last.checkUnchanged() }
        }
    }
}
