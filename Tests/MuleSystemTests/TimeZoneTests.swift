import Glibc
import MuleSystem
import TestSupport
import Testing

@Suite("The time zone")
struct TimeZoneTests {
    private let root = ScratchDirectory()

    private func trouble(_ zone: String?, _ more: [String: String] = [:]) -> String? {
        TimeZone.trouble(environment: more.merging(zone.map { ["TZ": $0] } ?? [:]) { $1 }, root: root.path)
    }

    @Test(arguments: [
        "Pacific/Kiritimati", ":Europe/Berlin", "/etc/zone", "CET", "Nonsense", "<+14>", "Etc/GMT+1", ":UTC0",
    ]
    )
    func `one that is named and found nowhere is said, with where it was looked for`(zone: String) throws {
        let text = try #require(trouble(zone))
        #expect(text.contains(zone) && text.contains("tzdata"))
    }

    @Test(arguments: [
        "", ":", "UTC", "GMT", "Etc/UTC", "Zulu", "UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+14>-14", "EST5EDT",
    ]
    )
    func `one that needs no file is found`(zone: String) {
        #expect(trouble(zone) == nil)
    }

    @Test
    func `one whose file is there is found; a file of something else is none`() throws {
        try root.write("TZif2", to: "usr/share/zoneinfo/Europe/Berlin")
        try root.write("TZif2", to: "zones/Here")
        try root.write("text", to: "usr/share/zoneinfo/README")
        #expect(trouble("Europe/Berlin") == nil && trouble(":Europe/Berlin") == nil)
        #expect(trouble("/zones/Here") == nil && trouble("Here", ["TZDIR": "/zones"]) == nil)
        #expect(trouble("Europe/Berlin", ["TZDIR": "/zones"]) != nil && trouble("README") != nil)
    }

    @Test
    func `the machine's own is missing where its link leads nowhere`() throws {
        #expect(trouble(nil) == nil)
        try root.makeDirectory("etc")
        #expect(symlink("/nowhere/at/all", root.path("etc/localtime")) == 0)
        #expect(trouble(nil)?.contains("/etc/localtime") == true)
        unlink(root.path("etc/localtime"))
        try root.write("TZif2", to: "etc/localtime")
        #expect(trouble(nil) == nil)
    }
}
