module function

go 1.21

require company/lib v1.0.0
