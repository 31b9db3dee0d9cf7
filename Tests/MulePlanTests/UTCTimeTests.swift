import MulePlan
import Testing

@Suite struct UTCTimeTests {
    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (951_868_800, "2000-03-01T00:00:00Z"),
        (1_369_353_600, "2013-05-24T00:00:00Z"),
        (1_440_938_160, "2015-08-30T12:36:00Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (1_795_218_960, "2026-11-20T23:56:00Z"),
        (2_147_483_648, "2038-01-19T03:14:08Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (-62_167_219_200, "0000-01-01T00:00:00Z"),
    ])
    func `known moments are written and read`(seconds: Int64, text: String) {
        let time = UTCTime(secondsSince1970: seconds)
        #expect(time.iso8601 == text)
        #expect(UTCTime(iso8601: text) == time)
    }

    @Test func `the signing forms are the same moment without punctuation`() {
        let time = UTCTime(secondsSince1970: 1_795_218_960)
        #expect(time.basic == "20261120T235600Z")
        #expect(time.basicDate == "20261120")
    }

    @Test func `every day from 1968 to 2104 follows the one before`() {
        var (year, month, day) = (1968, 1, 1)
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var seconds: Int64 = -731 * 86_400
        while year < 2105 {
            let expected = String(year * 10_000 + month * 100 + day)
            let written = UTCTime(secondsSince1970: seconds).basicDate
            if written != expected {
                Issue.record("\(written) instead of \(expected)")
                return
            }
            let isLeapYear = year.isMultiple(of: 4) && year != 2100
            if day < lengths[month - 1] + (month == 2 && isLeapYear ? 1 : 0) {
                day += 1
            } else if month < 12 {
                (month, day) = (month + 1, 1)
            } else {
                (year, month, day) = (year + 1, 1, 1)
            }
            seconds += 86_400
        }
    }

    @Test(arguments: Array(stride(from: Int64(-62_167_219_200), to: 253_402_300_800, by: 3_155_692_597)))
    func `whatever is written is read back`(seconds: Int64) {
        let time = UTCTime(secondsSince1970: seconds)
        #expect(UTCTime(iso8601: time.iso8601) == time)
        #expect(UTCTime(httpDate: time.httpDate) == time)
    }

    @Test(arguments: [
        ("2026-11-20T23:56:00.5Z", Int64(500)), ("2026-11-20T23:56:00.000Z", 0), ("2026-11-20T23:56:00.123Z", 123),
        ("2026-11-20T23:56:00.1239999Z", 123), ("2026-11-20T23:56:00+00:00", 0), ("2026-11-20T23:56:00.07+00:00", 70),
    ])
    func `a fraction is kept to the millisecond`(text: String, milliseconds: Int64) {
        #expect(UTCTime(iso8601: text)?.millisecondsSince1970 == 1_795_218_960_000 + milliseconds)
    }

    @Test(arguments: [
        "", "2026-11-20", "2026-11-20T23:56:00", "2026-11-20t23:56:00z", "2026-11-20 23:56:00Z", "2026-11-20T23:56Z",
        "2026-11-20T23:56:00.Z", "2026-11-20T23:56:00,5Z", "2026-11-20T23:56:00Z ", " 2026-11-20T23:56:00Z",
        "2026-11-20T23:56:00+01:00", "2026-11-20T23:56:00-00:00", "2026-11-20T24:00:00Z", "2026-11-20T23:60:00Z",
        "2026-11-20T23:59:60Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z", "2026-04-31T00:00:00Z", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "+026-11-20T23:56:00Z", "02026-11-20T23:56:00Z", "20261120T235600Z",
        "2026-11-20T23:56:00ZZ", "\u{ff12}026-11-20T23:56:00Z",
    ])
    func `other texts are refused`(text: String) {
        #expect(UTCTime(iso8601: text) == nil)
    }

    @Test(arguments: [
        ("Fri, 20 Nov 2026 23:56:00 GMT", Int64(1_795_218_960)), ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600), ("Fri, 24 May 2013 00:00:00 GMT", 1_369_353_600),
    ])
    func `the Date header is read and written`(text: String, seconds: Int64) {
        #expect(UTCTime(httpDate: text) == UTCTime(secondsSince1970: seconds))
        #expect(UTCTime(secondsSince1970: seconds).httpDate == text)
    }

    @Test(arguments: [
        ("2026-11-20T23:56:00Z", Int64(0)), ("2026-11-21T01:26:00+01:30", 0), ("2026-11-20T18:56:00.5-05:00", 500),
        ("2026-11-20T23:56:00-00:00", 0),
    ])
    func `other zones are read`(text: String, milliseconds: Int64) {
        #expect(UTCTime(rfc3339: text)?.millisecondsSince1970 == 1_795_218_960_000 + milliseconds)
    }

    @Test(arguments: [
        "", "+01:00", "2026-11-20", "2026-11-20T23:56:00", "2026-11-20T23:56:00+24:00", "2026-11-20T23:56:00+01:60",
        "2026-11-20T23:56:00+0100", "2026-11-20T23:56:00+1:00", "2026-11-20T23:56:00Z+01:00", "2026-11-20+01:00",
        "2026-11-20T23:56:00 01:00", "2026-11-20T23:56:00+01:00 ",
    ])
    func `texts without a time or a zone are refused`(text: String) {
        #expect(UTCTime(rfc3339: text) == nil)
    }

    @Test(arguments: [
        "", "Thu, 20 Nov 2026 23:56:00 GMT", "fri, 20 Nov 2026 23:56:00 GMT", "Fri, 20 nov 2026 23:56:00 GMT",
        "Fri, 20 Nov 2026 23:56:00 UTC", "Fri, 20 Nov 2026 23:56:00 +0000", "Fri,20 Nov 2026 23:56:00 GMT",
        "Fri, 20 Nov 26 23:56:00 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Fri, 20 Nov 2026 23:56:00 GMT ", "Mon, 31 Nov 2026 23:56:00 GMT",
        "Fri, 20 Nov 2026 24:00:00 GMT",
    ])
    func `other forms of the Date header are refused`(text: String) {
        #expect(UTCTime(httpDate: text) == nil)
    }

    @Test func `times are ordered and moved by milliseconds`() {
        let time = UTCTime(millisecondsSince1970: 1_999)
        #expect(time < time.adding(milliseconds: 1))
        #expect(time.adding(milliseconds: -1_999) == UTCTime(secondsSince1970: 0))
        #expect(time.iso8601 == "1970-01-01T00:00:01Z")
        #expect(UTCTime(millisecondsSince1970: -1).iso8601 == "1969-12-31T23:59:59Z")
    }
}
