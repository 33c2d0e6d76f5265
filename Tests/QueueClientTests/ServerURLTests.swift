// Addresses of servers and keys, as users give them.

import Foundation
import TestSupport
import Testing

@testable import QueueClient

@Suite struct ServerURLTests {
    @Test func addresses() throws {
        let port = try #require(ServerURL("http://127.0.0.1:8080/"))
        #expect(port.base == "http://127.0.0.1:8080" && port.socket == nil && port.isLocal)
        let host = try #require(ServerURL("https://queue.example.org/behind/proxy"))
        #expect(host.base == "https://queue.example.org/behind/proxy" && !host.isLocal)
        #expect(ServerURL("http://[::1]:80")?.isLocal == true)
        let socket = try #require(ServerURL("unix:/run/s.sock"))
        #expect(
            socket.socket == "/run/s.sock" && socket.base == "http://localhost" && "\(socket)" == "unix:/run/s.sock")
    }

    @Test(arguments: [
        "", "localhost:8080", "ftp://a", "http://", "http://a?b", "http://a#b", "http://me@a", "http://me:key@a",
        "unix:relative", "unix:", "unix:/" + String(repeating: "a", count: 108),
    ])
    func noAddresses(_ text: String) { #expect(ServerURL(text) == nil) }

    @Test func keys() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("key", " ttb_abc\n")
        #expect(try ShownKey(environment: [:]) == nil)
        #expect(try ShownKey(environment: ["TTBATCH_API_KEY": ""]) == nil)
        #expect(try ShownKey(environment: ["TTBATCH_API_KEY_FILE": file])?.text == "ttb_abc")
        let both = ["TTBATCH_API_KEY": "direct", "TTBATCH_API_KEY_FILE": file]
        #expect(try ShownKey(environment: both)?.text == "direct")
        for bad in ["a b", "a\r\nX: y", "ü"] {
            let error = #expect(throws: InvalidServer.self) { try ShownKey(environment: ["TTBATCH_API_KEY": bad]) }
            #expect(error?.description.contains(bad) == false)
        }
        #expect(throws: InvalidServer.self) {
            try ShownKey(environment: ["TTBATCH_API_KEY_FILE": folder.file("none")])
        }
    }
}
