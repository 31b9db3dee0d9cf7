import MuleCLI
import Testing

@Suite("The name of the machine")
struct HostNameTests {
    @Test(arguments: [
        "localhost", "localhost.localdomain", "LocalHost", "(none)", "", "3f2a9c01b7de", "raspberrypi",
        "ubuntu.lan",
    ]
    )
    func `one that names no machine is doubted`(machine: String) throws {
        let name = HostName(environment: ["MULE_HOST": ""], machine: machine)
        #expect(name.text == machine)
        #expect(try #require(name.doubt).contains("MULE_HOST"))
    }

    @Test(arguments: ["db-3", "decade", "facade123", "db.example.org", "3F2A9C01B7DE", "localhost2"]
    )
    func `others are taken`(machine: String) {
        #expect(HostName(environment: [:], machine: machine).doubt == nil)
    }

    @Test
    func `a variable goes before it`() {
        let name = HostName(environment: ["MULE_HOST": "box"], machine: "localhost")
        #expect(name.text == "box" && name.doubt == nil)
    }
}
