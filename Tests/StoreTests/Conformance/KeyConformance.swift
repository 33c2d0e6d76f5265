// The keys of the server: added, listed and removed, each name once.

import Runtime
import StoreContract
import Testing

@Suite struct KeyConformance {
    private func key(_ name: String, _ scopes: Set<KeyScope> = [.read]) -> ServerKey {
        ServerKey(
            name: name, publicID: "id of \(name)", tenant: Tenant(rawValue: "tenant of \(name)"), scopes: scopes,
            hash: "$5$of \(name)", created: 7)
    }

    @Test(arguments: StoreKind.allCases)
    func keysAreKeptAsTheyWereAdded(kind: StoreKind) throws {
        let fixture = try kind.make()
        let store = fixture.store
        #expect(try store.keys().isEmpty)
        let all = [key("b", Set(KeyScope.allCases)), key("a"), key("c", [.submit, .metrics])]
        for key in all { try store.add(key) }
        #expect(try store.keys() == all.sorted { $0.name < $1.name })
        #expect(throws: JobStoreError.keyNameTaken("a")) { try store.add(key("a", [.admin])) }
        #expect(try store.keys().count == 3)
        #expect(try store.removeKey(named: "b") && !store.removeKey(named: "b") && !store.removeKey(named: "d"))
        #expect(try store.keys().map(\.name) == ["a", "c"])
        try store.add(all[0])
        #expect(try store.keys().map(\.name) == ["a", "b", "c"])
    }
}
