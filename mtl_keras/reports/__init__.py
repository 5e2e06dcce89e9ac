"""Pictures and pages of what runs did, from their records: figures by matplotlib, one HTML file that needs no other."""
